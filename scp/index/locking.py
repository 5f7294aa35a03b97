"""Row locks: the second transaction waits for the first one's commit."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from scp.index.schema.tables import Base


def lock(session: Session, table: type[Base], **key: Any) -> None:
    """Let nobody else lock the row of this key until the commit.

    An update that changes nothing, because SQLite has no SELECT FOR UPDATE; no row, no lock.
    """
    own = {name: table.__table__.c[name] for name in key}
    held = update(table).filter_by(**key).values(own)
    session.execute(held, execution_options={"synchronize_session": False})
