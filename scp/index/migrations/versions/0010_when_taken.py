"""how exactly it is known when a film was taken, and the offset that it states."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# what programs write when they know no date, and dates long after the film came, are none
_NO_DATE = {
    "sqlite": "acquired_at < '1901-01-01' OR acquired_at > datetime(received_at, '+3 days')"
    " OR date(acquired_at) IN ('1904-01-01', '1970-01-01', '1980-01-01')",
    "postgresql": "acquired_at < '1901-01-01'"
    " OR acquired_at > (received_at AT TIME ZONE 'UTC') + interval '3 days'"
    " OR acquired_at::date IN ('1904-01-01', '1970-01-01', '1980-01-01')",
}


def upgrade() -> None:
    # films of before keep what is known of them, and none of the new columns: `hilum reindex`
    # reads their headers once more, and until then a midnight counts as a day without a time
    op.add_column("instance", sa.Column("acquired_precision", sa.String(), nullable=True))
    op.add_column("instance", sa.Column("acquired_offset_minutes", sa.Integer(), nullable=True))
    none = _NO_DATE[op.get_bind().dialect.name]
    op.execute(f"UPDATE instance SET acquired_at = NULL, acquired_from = '' WHERE {none}")


def downgrade() -> None:
    op.drop_column("instance", "acquired_offset_minutes")
    op.drop_column("instance", "acquired_precision")
