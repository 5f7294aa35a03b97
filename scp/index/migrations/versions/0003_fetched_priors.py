"""how priors were fetched; a film that was is in the state "fetched", which is plain text."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "prior_fetch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column(
            "asked_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_prior_fetch_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prior_fetch")),
        sa.UniqueConstraint("instance_id", name=op.f("uq_prior_fetch_instance_id")),
    )
    with op.batch_alter_table("prior_fetch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prior_fetch_outcome"), ["outcome"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("prior_fetch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prior_fetch_outcome"))
    op.drop_table("prior_fetch")
