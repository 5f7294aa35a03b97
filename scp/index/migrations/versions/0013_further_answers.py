"""which answer to a film a result belongs to, and what it says beside that."""

import sqlalchemy as sa
from alembic import op

import scp.index.moments

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Results that are here count as of the first answer: that is what they say of themselves."""
    op.create_table(
        "further_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("begun_at", scp.index.moments.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_further_answer_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_further_answer")),
        sa.UniqueConstraint("instance_id", "number", name=op.f("uq_further_answer_instance_id")),
    )
    with op.batch_alter_table("further_answer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_further_answer_instance_id"), ["instance_id"], unique=False
        )
    with op.batch_alter_table("result", schema=None) as batch_op:
        batch_op.add_column(sa.Column("content", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("further_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_result_further_id"), ["further_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_result_further_id_further_answer"),
            "further_answer",
            ["further_id"],
            ["id"],
        )


def downgrade() -> None:
    with op.batch_alter_table("result", schema=None) as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_result_further_id_further_answer"), type_="foreignkey"
        )
        batch_op.drop_index(batch_op.f("ix_result_further_id"))
        batch_op.drop_column("further_id")
        batch_op.drop_column("content")
    op.drop_table("further_answer")
