"""Who types a command: what it changes is recorded under their name."""

import os
import pwd
from pathlib import Path

from scp.monitoring.audit import Actor, Audit
from scp.processes.runtime import ServiceContext, now


def actor_of(context: ServiceContext) -> Actor:
    """Return the user of this process, as "shell:NAME"."""
    return actor_in(context.archive.data_dir)


def actor_in(data_dir: Path) -> Actor:
    """Return the same, where only the folder is known."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container, a user may have a number and no name
        name = f"#{uid}"
    return Actor(Audit(data_dir, now), f"shell:{name}")
