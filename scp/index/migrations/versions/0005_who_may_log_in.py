"""who may log in to the dashboard, and who is logged in."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "dashboard_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column(
            "access",
            sa.Enum("viewer", "operator", name="access", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column(
            "created_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_user")),
        sa.UniqueConstraint("name", name=op.f("uq_dashboard_user_name")),
    )
    op.create_table(
        "dashboard_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column(
            "seen_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["dashboard_user.id"],
            name=op.f("fk_dashboard_session_user_id_dashboard_user"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_session")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_dashboard_session_token_sha256")),
    )
    with op.batch_alter_table("dashboard_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dashboard_session_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("dashboard_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dashboard_session_user_id"))
    op.drop_table("dashboard_session")
    op.drop_table("dashboard_user")
