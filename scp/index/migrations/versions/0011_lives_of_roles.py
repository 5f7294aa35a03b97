"""which life of a role a heartbeat is of."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("heartbeat", sa.Column("start_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("heartbeat", "start_id")
