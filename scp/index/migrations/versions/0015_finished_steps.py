"""which steps of jobs have had their effect: done again, they have none"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """A job that is in flight has none yet: its steps are done again as they were before."""
    op.create_table(
        "finished_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("result", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_finished_step_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finished_step")),
        sa.UniqueConstraint("job", "step", name=op.f("uq_finished_step_job")),
    )
    op.create_index(op.f("ix_finished_step_instance_id"), "finished_step", ["instance_id"])


def downgrade() -> None:
    op.drop_table("finished_step")
