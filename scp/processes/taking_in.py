"""What takes objects in, for the roles and the commands that do."""

from collections.abc import Callable
from datetime import datetime

from scp.pipeline.intake import Intake
from scp.processes.runtime import ServiceContext, now


def make_intake(context: ServiceContext, clock: Callable[[], datetime] = now) -> Intake:
    """Put together what takes objects in; by the ``clock`` they arrive."""
    settings = context.settings
    return Intake(
        context.engine,
        context.archive,
        context.jobs,
        clock,
        settings.priors.settle_s,
        settings.worklist,
        settings.patients,
        settings.zone,
    )
