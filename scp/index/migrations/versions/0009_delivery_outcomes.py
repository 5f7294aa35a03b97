"""a delivery's outcome as codes and the peer's words, in place of an English sentence."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_DELIVERY = sa.table(
    "delivery",
    sa.column("id", sa.Integer),
    sa.column("state", sa.String),
    sa.column("last_error", sa.String),
    sa.column("cause", sa.String),
    sa.column("kind", sa.String),
    sa.column("store_status", sa.Integer),
    sa.column("peer_text", sa.String),
    sa.column("last_attempt_at"),
    sa.column("next_attempt_at"),
    sa.column("delivered_at"),
)
_NEW = (_DELIVERY.c.cause, _DELIVERY.c.kind, _DELIVERY.c.store_status, _DELIVERY.c.peer_text)
_STATUS = re.compile(r"C-STORE answered 0x([0-9A-F]{4}) \([^)]*\)(?:: (.*))?", re.DOTALL)
# the sentences of the releases before, and the codes that say the same; (?P<said>) is kept
_SENTENCES = (
    (r".+ at .+:\d+ does not answer", "no-connection"),
    (r".+ cannot be looked up: (?P<said>.*)", "unknown-host"),
    (r".+ rejected the association: Calling AE title .*", "calling-ae-title-not-recognized"),
    (r".+ rejected the association: Called AE title .*", "called-ae-title-not-recognized"),
    (r".+ rejected the association: (?:Temporary congestion|Local limit exceeded)", "congested"),
    (r".+ rejected the association: (?P<said>.*)", "association-rejected"),
    (r".+ accepts none of (?P<said>.*)", "no-accepted-context"),
    (r"the destination accepts no (?P<said>.*)", "no-accepted-context"),
    (r"the association broke off", "connection-broken"),
    (r"no answer to C-STORE", "no-c-store-response"),
    (r"the destination is no longer configured", "destination-not-configured"),
    (r"the (?:result|file) cannot be read: (?P<said>[^:]*)(?:: .*)?", "result-not-readable"),
    (r"the result is no longer a DICOM file: .*", "result-not-dicom"),
)
_PERMANENT = ("no-accepted-context", "destination-not-configured")
_WARNINGS = (0x0001, 0x0107, 0x0116, 0x0111)
_TRANSIENT = (0x0110, 0x0210, 0x0213, 0xFE00)


def upgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        for name in ("cause", "kind", "peer_text"):
            batch_op.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("store_status", sa.Integer(), nullable=True))
    connection = op.get_bind()
    found = sa.select(_DELIVERY.c.id, _DELIVERY.c.last_error).where(_DELIVERY.c.last_error != "")
    codes = [
        dict(
            zip(
                ("row", "cause", "kind", "store_status", "peer_text"),
                (row, *_codes(said)),
                strict=True,
            )
        )
        for row, said in connection.execute(found)
    ]
    if codes:
        by_id = sa.update(_DELIVERY).where(_DELIVERY.c.id == sa.bindparam("row"))
        connection.execute(by_id.values({c: sa.bindparam(c.name) for c in _NEW}), codes)
    # a warning was a failure until now, and its object was sent again: the destination has it
    connection.execute(
        sa.update(_DELIVERY)
        .where(_DELIVERY.c.kind == "warning", _DELIVERY.c.state.in_(("pending", "dead letter")))
        .values(
            state="delivered", delivered_at=_DELIVERY.c.last_attempt_at, next_attempt_at=sa.null()
        )
    )
    connection.execute(
        sa.update(_DELIVERY)
        .where(_DELIVERY.c.state == "delivered", _DELIVERY.c.last_error == "")
        .values(cause="status", kind="success", store_status=0)
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("last_error")
        for name in ("cause", "kind", "peer_text"):
            batch_op.alter_column(name, server_default=None)
        batch_op.create_index(batch_op.f("ix_delivery_kind"), ["kind"], unique=False)


def _codes(sentence: str) -> tuple[str, str, int | None, str]:
    """Return cause, kind, status and the peer's words; a strange sentence is kept as it is."""
    if match := _STATUS.fullmatch(sentence):
        status = int(match[1], 16)
        return "status", _kind(status), status, match[2] or ""
    for pattern, cause in _SENTENCES:
        if match := re.fullmatch(pattern, sentence, re.DOTALL):
            kind = "permanent" if cause in _PERMANENT else "transient"
            return cause, kind, None, match.groupdict().get("said") or ""
    return "earlier-release", "transient", None, sentence


def _kind(status: int) -> str:
    if status in _WARNINGS or 0xB000 <= status <= 0xBFFF:
        return "warning"
    transient = status in _TRANSIENT or 0xA700 <= status <= 0xA7FF
    return "transient" if transient else "permanent"


def downgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_error", sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    failed = _DELIVERY.c.kind.in_(("transient", "permanent"))
    rows = connection.execute(sa.select(*_NEW).where(failed).distinct())
    for cause, kind, status, text in list(rows):
        same = (_DELIVERY.c.cause == cause, _DELIVERY.c.kind == kind, _DELIVERY.c.peer_text == text)
        sentence = cause if status is None else f"C-STORE answered 0x{status:04X} (Failure)"
        connection.execute(
            sa.update(_DELIVERY)
            .where(*same, _DELIVERY.c.store_status.is_not_distinct_from(status))
            .values(last_error=f"{sentence}: {text}" if text else sentence)
        )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_kind"))
        for name in ("cause", "kind", "store_status", "peer_text"):
            batch_op.drop_column(name)
        batch_op.alter_column("last_error", server_default=None)
