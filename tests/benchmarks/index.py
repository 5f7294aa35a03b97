"""Films taken into the index a second, each with its job in one transaction, beside the limit.

The limit is what the database and the disk allow: transactions of one bare row, committed in the
same run on the same database, turn about. Nothing is archived: this is the index and the queue
alone.

Run from the repository root: python -m tests.benchmarks.index [--seconds S] [--url URL]
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from databases import new_database, postgresql, postgresql_folder

from scp.archive import Stored
from scp.index.database import migrate, open_database
from scp.index.registration import Recorded, identify, register
from scp.pipeline.queue import Jobs

# a film with its job is some 8 statements; below this share of bare rows something is amiss
LEAST_RATIO = 0.05
THREADS = (1, 4)
TURNS = 4
_RUN = generate_uid(None)
_numbers = count()
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure")
    parser.add_argument("--url", help="a database to measure; its tables are made, and filled")
    options = parser.parse_args()
    good = True
    with ExitStack() as stack:
        for name, url in _databases(stack, options.url):
            good &= measure(name, url, options.seconds)
    return 0 if good else 1


def _databases(stack: ExitStack, url: str | None) -> Iterator[tuple[str, str]]:
    if url:
        yield "given", url
        return
    folder = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd()))  # a disk, no tmpfs
    yield "SQLite", f"sqlite:///{Path(folder) / 'index.sqlite'}"
    if postgresql_folder() is None:
        print("PostgreSQL   is not installed")
        return
    server = stack.enter_context(postgresql(durable=True))
    yield "PostgreSQL", stack.enter_context(new_database(server))


def measure(name: str, url: str, seconds: float) -> bool:
    good = True
    with _opened(url) as (engine, jobs):
        for threads in THREADS:
            rows = films = 0.0
            seconds_a_turn = seconds / TURNS
            for _ in range(TURNS):  # turn about, so that other load meets both
                rows += rate(partial(bare_row, engine), threads, seconds_a_turn)
                films += rate(partial(film, engine, jobs), threads, seconds_a_turn)
            ratio = films / rows
            good &= ratio >= LEAST_RATIO
            print(
                f"{name:<12} {threads} at once "
                f"{films / TURNS:7.0f} films/s   limit {rows / TURNS:7.0f} rows/s   "
                f"ratio {ratio:.2f} (at least {LEAST_RATIO})"
            )
    return good


@contextmanager
def _opened(url: str) -> Iterator[tuple[sa.Engine, Jobs]]:
    engine = open_database(url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS bare (number INTEGER, at VARCHAR)"))
    jobs = Jobs(engine)
    try:
        yield engine, jobs
    finally:
        jobs.close()
        engine.dispose()


def rate(work: Callable[[int], None], threads: int, seconds: float) -> float:
    """How often a second the work is done by these threads together."""
    start = monotonic()

    def repeat(_: int) -> int:
        done = 0
        while monotonic() - start < seconds:
            work(next(_numbers))
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(repeat, range(threads)))
    return done / (monotonic() - start)


def bare_row(engine: sa.Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO bare VALUES (:number, :at)"), {"number": number, "at": "here"}
        )


def film(engine: sa.Engine, jobs: Jobs, number: int) -> None:
    """One transaction, as `scp.pipeline.intake` makes it; every second film is of a new study."""
    header = _header(number)
    identity = identify(header, UTC, NOW)
    stored = Stored(f"archive/ab/{identity.sop_uid}.dcm", "0" * 64, 10_000_000)
    with Session(engine) as session, session.begin():
        recorded = register(
            session,
            identity,
            stored,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae_title="BENCH",
            now=NOW,
        )
        assert recorded is Recorded.NEW
        jobs.answer_film(session, identity.sop_uid)


def _header(number: int) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[_RUN, "study", str(number // 2)])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[_RUN, "series", str(number // 2)])
    ds.Modality, ds.PatientID, ds.ViewPosition = "DX", f"BENCH-{number // 2}", "PA"
    ds.AcquisitionDate, ds.AcquisitionTime = "20260302", "093000"
    return ds


if __name__ == "__main__":
    sys.exit(main())
