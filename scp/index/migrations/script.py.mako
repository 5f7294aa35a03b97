"""${message}."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
