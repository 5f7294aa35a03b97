"""associations that others asked for and that came to nothing, counted by kind."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "failed_association",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("called_ae_title", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "first_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column(
            "last_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_association")),
        sa.UniqueConstraint(
            "reason",
            "calling_ae_title",
            "called_ae_title",
            "address",
            "detail",
            name=op.f("uq_failed_association_reason"),
        ),
    )
    op.create_index(op.f("ix_failed_association_last_at"), "failed_association", ["last_at"])


def downgrade() -> None:
    op.drop_table("failed_association")
