"""what is stated of each film's cardiothoracic ratio"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Films that are here were read by networks that find no heart."""
    op.add_column("analysis", sa.Column("ratio", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("analysis", "ratio")
