"""Which files the index says are kept, with the hash of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom.dsutils import split_dataset
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from scp.archive import sha256_of
from scp.index.schema.operation import Quarantined
from scp.index.schema.persons import Correction
from scp.index.schema.tables import Instance, Result

_BATCH = 500
_TABLES: dict[str, type[Any]] = {
    "film": Instance,
    "earlier film": Correction,
    "result": Result,
    "refused object": Quarantined,
}


@dataclass(frozen=True)
class KeptFile:
    """One file: ``path`` is relative to data_dir, ``uid`` the SOP Instance UID, where known."""

    kind: str
    uid: str
    path: str
    sha256: str

    def contents_sha256(self, path: Path) -> str:
        """Return the hash of a file as `sha256` is of one of this kind; "" where it has none.

        A film's is of its data set: what stands before that is ours.

        Raises
        ------
        OSError
            The file is gone, or cannot be read.
        """
        try:
            of_film = self.kind in ("film", "earlier film")
            return sha256_of(path, split_dataset(path)[1] if of_film else 0)
        except OSError:
            raise
        except Exception:  # what stands there now may be anything
            return ""


def kept_files(session: Session) -> Iterator[KeptFile]:
    """Yield every file that a row names."""
    for kind, table in _TABLES.items():
        rows = session.execute(_query(table).execution_options(yield_per=_BATCH))
        for row in rows:
            yield KeptFile(kind, *row)


def count_kept(session: Session) -> int:
    """Return how many files the rows name."""
    return sum(
        session.scalar(select(func.count()).select_from(table)) or 0 for table in _TABLES.values()
    )


def not_kept(session: Session, paths: Sequence[str]) -> list[str]:
    """Return those of some paths that no row names."""
    known: set[str] = set()
    for at in range(0, len(paths), _BATCH):
        some = paths[at : at + _BATCH]
        for table in _TABLES.values():
            known.update(session.scalars(select(table.path).where(table.path.in_(some))))
    return [path for path in paths if path not in known]


def _query(table: type[Any]) -> Select[str, str, str]:
    if table is Correction:
        named = select(Instance.uid, Correction.path, Correction.sha256)
        return named.join(Instance, Instance.id == Correction.instance_id)
    uid = table.sop_instance_uid if table is Quarantined else table.uid
    return select(uid, table.path, table.sha256)
