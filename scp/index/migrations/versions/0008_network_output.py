"""what the network said, free of the site's settings; which settings an answer was made with.

Columns are added and none is rewritten: heat maps of a million films would take hours. What earlier
releases stored is read as it is (`scp.index.outputs`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ADDED = (
    ("analysis", "log_odds", sa.JSON()),
    ("analysis", "maps", sa.LargeBinary()),
    ("result", "applied", sa.JSON()),
    ("instance", "placed_with", sa.String()),
)


def upgrade() -> None:
    op.create_table(
        "model",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("readings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_model")),
    )
    for table, column, kind in _ADDED:
        op.add_column(table, sa.Column(column, kind, nullable=True))


def downgrade() -> None:
    """Go back; an earlier release reads the films again of which it can make nothing."""
    newer = "SELECT id FROM analysis WHERE maps IS NOT NULL"
    op.execute(f"DELETE FROM comparison WHERE current_id IN ({newer}) OR prior_id IN ({newer})")
    op.execute("DELETE FROM analysis WHERE maps IS NOT NULL")
    for table, column, _ in _ADDED:
        op.drop_column(table, column)
    op.drop_table("model")
