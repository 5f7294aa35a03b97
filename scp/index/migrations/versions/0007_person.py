"""whose a film is: birth date and sex, Patient IDs that are nearly the same, corrections."""

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime
from scp.matching.patient_ids import id_key

revision = "0007"
down_revision = "0006"

_BATCH = 2000
_IDS = sa.text("SELECT id, patient_id FROM patient WHERE id > :after ORDER BY id LIMIT :batch")


def upgrade() -> None:
    """Birth date and sex are in the archive: `hilum reindex`, or the film's next comparison."""
    op.add_column("instance", sa.Column("birth_date", sa.String(), nullable=True))
    op.add_column("instance", sa.Column("sex", sa.String(), nullable=True))
    op.add_column("patient", sa.Column("id_key", sa.String(), nullable=True))
    nobody: sa.Column[bool] = sa.Column(
        "placeholder", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("patient", nobody)
    op.add_column("patient", sa.Column("merged_into", sa.Integer(), nullable=True))
    for table, column in _COUNTS:
        op.add_column(
            table, sa.Column(column, sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
    for table in ("comparison", "result"):
        op.add_column(table, sa.Column("withdrawn", sa.String(), nullable=True))
    _make_corrections()
    _fill(op.get_bind())
    op.create_index(op.f("ix_patient_id_key"), "patient", ["id_key"])


_COUNTS = (
    ("instance", "revision"),
    ("prior_choice", "revision"),
    ("prior_choice", "prior_revision"),
)


def _make_corrections() -> None:
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("by", "how", "path", "sha256")),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        *(
            sa.Column(name, sa.String(), nullable=True)
            for name in ("patient_name", "birth_date", "sex", "accession_number")
        ),
        sa.Column("acquired_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_correction_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index(op.f("ix_correction_instance_id"), "correction", ["instance_id"])
    op.create_index(op.f("ix_correction_path"), "correction", ["path"])


def _fill(connection: sa.Connection) -> None:
    patient = sa.table("patient", sa.column("id"), sa.column("id_key"))
    changed = sa.update(patient).where(patient.c.id == sa.bindparam("of"))
    after = 0
    while rows := connection.execute(_IDS, {"after": after, "batch": _BATCH}).all():
        keys = [{"of": row.id, "id_key": id_key(row.patient_id)} for row in rows]
        connection.execute(changed, keys)
        after = rows[-1].id


def downgrade() -> None:
    op.drop_index(op.f("ix_patient_id_key"), "patient")
    op.drop_table("correction")
    for table in ("comparison", "result"):
        op.drop_column(table, "withdrawn")
    for table, column in _COUNTS:
        op.drop_column(table, column)
    for column in ("merged_into", "placeholder", "id_key"):
        op.drop_column("patient", column)
    for column in ("sex", "birth_date"):
        op.drop_column("instance", column)
