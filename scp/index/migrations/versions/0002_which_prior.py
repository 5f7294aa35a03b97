"""which prior, and which job brings a result."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

revision = "0002"
down_revision = "0001"

# what was answered before the reasons were kept: with which prior is known, why is not
_KNOWN_BEFORE = """
INSERT INTO prior_choice (
    instance_id, prior_id, code, sentence, limited, notes, rejected, not_listed, chosen_at
)
SELECT
    instance.id,
    (
        SELECT earlier.instance_id FROM comparison
        JOIN analysis AS later ON later.id = comparison.current_id
        JOIN analysis AS earlier ON earlier.id = comparison.prior_id
        WHERE later.instance_id = instance.id
        ORDER BY comparison.id DESC LIMIT 1
    ),
    '', 'Chosen by an earlier release, which kept no reasons.', '', '[]', '[]', 0,
    COALESCE(instance.finished_at, instance.received_at)
FROM instance WHERE instance.state = 'answered'
"""
# a result that still waits had its next attempt's job in the queue
_JOBS_BEFORE = """
UPDATE delivery
SET job = CASE WHEN state IN ('pending', 'cancelled') OR attempts = 0
    THEN attempts + 1 ELSE attempts END
"""


def upgrade() -> None:
    op.create_table(
        "prior_choice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("prior_id", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("limited", sa.String(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("not_listed", sa.Integer(), nullable=False),
        sa.Column(
            "chosen_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_prior_choice_instance_id_instance")
        ),
        sa.ForeignKeyConstraint(
            ["prior_id"], ["instance.id"], name=op.f("fk_prior_choice_prior_id_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prior_choice")),
        sa.UniqueConstraint("instance_id", name=op.f("uq_prior_choice_instance_id")),
    )
    with op.batch_alter_table("prior_choice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prior_choice_prior_id"), ["prior_id"], unique=False)
    op.execute(_KNOWN_BEFORE)

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("job", sa.Integer(), nullable=False, server_default="1"))
    op.execute(_JOBS_BEFORE)
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("job", existing_type=sa.Integer(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("job")
    with op.batch_alter_table("prior_choice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prior_choice_prior_id"))
    op.drop_table("prior_choice")
