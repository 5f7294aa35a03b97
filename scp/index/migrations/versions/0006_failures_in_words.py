"""why films failed, as one of hilum's own words where it was the name of a library's class."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_WORDS = {
    "Cancelled": "cancelled",
    "WorkerDied": "worker_died",
    "FileNotFoundError": "file_missing",
    "PermissionError": "no_permission",
    "OSError": "disk",
    "OperationalError": "database",
    "MemoryError": "memory",
    "OutOfMemoryError": "gpu_memory",
}


def upgrade() -> None:
    film = sa.table("instance", sa.column("state", sa.String), sa.column("reason", sa.String))
    cause = sa.case(*((film.c.reason == old, new) for old, new in _WORDS.items()), else_="fault")
    op.execute(sa.update(film).where(film.c.state == "failed").values(reason=cause))


def downgrade() -> None:
    """Leave the words: every release shows a reason that it does not know as it stands."""
