"""which job answers a film: a retry is a job of its own"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Films that are here have their first job: a retry ran it again."""
    op.add_column(
        "instance", sa.Column("job", sa.Integer(), nullable=False, server_default=sa.text("1"))
    )


def downgrade() -> None:
    op.drop_column("instance", "job")
