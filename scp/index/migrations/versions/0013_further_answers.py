"""which answer to a film a result belongs to, and what it says beside that."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

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
        sa.Column(
            "begun_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
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
    op.add_column("result", sa.Column("content", sa.String(), nullable=True))
    # no foreign key: SQLite would drop and make anew the table to which deliveries refer
    op.add_column("result", sa.Column("further_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_result_further_id"), "result", ["further_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_result_further_id"), "result")
    op.drop_column("result", "further_id")
    op.drop_column("result", "content")
    op.drop_table("further_answer")
