"""the worklist: names, words to search by, findings, and when a reader should have seen a film."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

import scp.index.schema.utc_datetime
from scp.matching.folding import film_words

revision = "0004"
down_revision = "0003"

_BATCH = 2000

# a film of before is as urgent as one of which nothing is known: half of an hour's longest wait
_DUE_BEFORE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', received_at, '+30 minutes') || '000'",
    "postgresql": "received_at + interval '30 minutes'",
}
_LABELS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip
_GONE = ("decreased", "resolved")
# the heat maps stay where they are: a million of them do not fit into memory
_IDS = sa.text(
    "SELECT instance.id, patient.patient_id FROM instance"
    " JOIN patient ON patient.id = instance.patient_id"
    " WHERE instance.id > :after ORDER BY instance.id LIMIT :batch"
)
_ANSWERS = sa.text(
    "SELECT id, instance_id, probabilities, thresholds FROM analysis"
    " WHERE id > :after ORDER BY id LIMIT :batch"
)
_CHANGES = sa.text(
    "SELECT current_id, comparable, changes FROM comparison"
    " WHERE current_id > :first AND current_id <= :last ORDER BY id"
)


def upgrade() -> None:
    op.add_column("comparison", sa.Column("layers", sa.LargeBinary(), nullable=True))
    op.add_column("instance", sa.Column("patient_name", sa.String(), nullable=True))
    op.add_column("instance", sa.Column("accession_number", sa.String(), nullable=True))
    op.add_column(
        "instance",
        sa.Column(
            "due_at", scp.index.schema.utc_datetime.UtcDateTime(timezone=True), nullable=True
        ),
    )
    word = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    search_word = op.create_table(
        "search_word",
        sa.Column("word", word, nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_search_word_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("word", "instance_id", name=op.f("pk_search_word")),
        sqlite_with_rowid=False,
    )
    film_finding = op.create_table(
        "film_finding",
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("positive", sa.Boolean(), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_film_finding_instance_id_instance")
        ),
        sa.PrimaryKeyConstraint("instance_id", "label", name=op.f("pk_film_finding")),
        sqlite_with_rowid=False,
    )
    _fill(search_word, film_finding)
    for name in ("ix_instance_received_at", "ix_instance_state"):
        op.drop_index(op.f(name), "instance")
    for name, table, columns in _INDICES:
        op.create_index(op.f(name), table, columns)


_INDICES = (
    ("ix_instance_received_at", "instance", ["received_at", "id"]),
    ("ix_instance_state", "instance", ["state", "received_at", "id"]),
    ("ix_instance_due_at", "instance", ["due_at", "id"]),
    ("ix_instance_finished_at", "instance", ["finished_at"]),
    ("ix_delivery_last_attempt_at", "delivery", ["last_attempt_at"]),
    ("ix_search_word_instance_id", "search_word", ["instance_id", "word"]),
    ("ix_film_finding_label", "film_finding", ["label", "change", "instance_id"]),
    ("ix_film_finding_positive", "film_finding", ["label", "positive", "instance_id"]),
    ("ix_film_finding_change", "film_finding", ["change", "instance_id"]),
)


def _fill(search_word: sa.Table, film_finding: sa.Table) -> None:
    """Make what can be made of the rows of before; names are in the archive: `hilum reindex`."""
    connection = op.get_bind()
    due = _DUE_BEFORE[connection.dialect.name]
    op.execute(f"UPDATE instance SET due_at = {due} WHERE state NOT IN ('not analysed', 'fetched')")
    after = 0
    while rows := connection.execute(_IDS, {"after": after, "batch": _BATCH}).all():
        found = [
            {"word": word, "instance_id": film}
            for film, patient_id in rows
            for word in film_words("", [patient_id])
        ]
        if found:
            connection.execute(search_word.insert(), found)
        after = rows[-1][0]
    after = 0
    while rows := connection.execute(_ANSWERS, {"after": after, "batch": _BATCH}).all():
        changes = _changes(connection, after, rows[-1][0])
        # of two models' words, the last stands: in place of the other, in this batch or before
        said = {row.instance_id: row for row in rows}
        old = film_finding.c.instance_id.in_(sa.bindparam("films", expanding=True))
        connection.execute(film_finding.delete().where(old), {"films": list(said)})
        found = [line for row in said.values() for line in _findings(row, changes.get(row.id, {}))]
        if found:
            connection.execute(film_finding.insert(), found)
        after = rows[-1][0]


def _changes(connection: sa.Connection, first: int, last: int) -> dict[int, dict[str, str]]:
    """Return, by analysis, what the newest comparison calls each finding."""
    found = {}
    for row in connection.execute(_CHANGES, {"first": first, "last": last}):
        changes = _values(row.changes) if row.comparable else []
        found[row.current_id] = {change["label"]: change["change"] for change in changes}
    return found


def _findings(row: sa.Row[Any], changes: dict[str, str]) -> Iterator[dict[str, object]]:
    said = zip(_LABELS, _values(row.probabilities), _values(row.thresholds), strict=False)
    for label, probability, threshold in said:
        positive, change = probability >= threshold, changes.get(label, "")
        if positive or change in _GONE:
            yield {
                "instance_id": row.instance_id,
                "label": label,
                "positive": positive,
                "change": change,
            }


def _values(stored: str | list[Any]) -> list[Any]:
    """Read a JSON column: PostgreSQL's driver has done so, SQLite's has not."""
    return json.loads(stored) if isinstance(stored, str) else stored


def downgrade() -> None:
    op.drop_table("film_finding")
    op.drop_table("search_word")
    for name, table, _ in _INDICES[:5]:
        op.drop_index(op.f(name), table)
    for column in ("due_at", "accession_number", "patient_name"):
        op.drop_column("instance", column)
    op.create_index(op.f("ix_instance_received_at"), "instance", ["received_at"])
    op.create_index(op.f("ix_instance_state"), "instance", ["state"])
    op.drop_column("comparison", "layers")
