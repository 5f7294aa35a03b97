"""What takes objects in, for the roles and the commands that do."""

from scp.pipeline.intake import Intake
from scp.processes.runtime import ServiceContext, now


def make_intake(context: ServiceContext) -> Intake:
    """Put together what takes objects in."""
    settings = context.settings
    return Intake(
        context.engine,
        context.archive,
        context.jobs,
        now,
        settings.priors.settle_s,
        settings.worklist,
        settings.patients,
        settings.zone,
    )
