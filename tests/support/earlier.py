"""An index and archive as the release before this one left them, with work in flight.

`python tests/support/earlier.py NAME` makes ``earlier/NAME.tar.xz`` anew, in the checkout of a
release that is about to be succeeded; NAME is its last migration.
"""

import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from films import make_film_ds
from ports import free_port
from service import FEWEST_RESULTS, Service, destination, wait_for
from tiny import make_tiny_bundle

FOLDER = Path(__file__).parent / "earlier"
# one patient's films: answered, its results not delivered; and received, one of them in the
# worker's hand when the power failed
FILMS = ANSWERED, IN_HAND, WAITING = ("20240102", "20240203", "20240304")


def film(day: str):
    """Make the film of a day."""
    return make_film_ds(patient_id="EARLIER-1", study_date=day, seed=int(day))


def unpack(archive: Path, folder: Path) -> None:
    """Put a data_dir of an earlier release into a folder, as if it had run on this machine."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    with closing(sqlite3.connect(folder / "var" / "hilum.sqlite")) as database, database:
        # a worker takes up what it had in hand by its own name, which has the machine's in it
        database.execute(
            "UPDATE workflow_status SET executor_id = ? WHERE executor_id LIKE 'work-%'",
            (f"work-{socket.gethostname()}-1",),
        )


def job_states(folder: Path) -> dict[str, str]:
    """Return the state of every job."""
    with closing(sqlite3.connect(folder / "var" / "hilum.sqlite")) as database:
        return dict(database.execute("SELECT workflow_uuid, status FROM workflow_status"))


def fill(folder: Path) -> None:
    """Leave work in flight in the ``var`` of a folder."""
    bundle = make_tiny_bundle(folder / "bundle")
    films = {day: film(day) for day in FILMS}
    for day, ds in films.items():
        ds.save_as(folder / f"{day}.dcm")
    with Service(folder, bundle, FEWEST_RESULTS + destination(free_port())) as service:
        service.storescu(folder / f"{ANSWERED}.dcm")
        service.outcome(films[ANSWERED].SOPInstanceUID)
        jobs = [f"film:{films[day].SOPInstanceUID}" for day in (IN_HAND, WAITING)]
        service.storescu(folder / f"{IN_HAND}.dcm", folder / f"{WAITING}.dcm")
        wait_for(lambda: "PENDING" in map(job_states(folder).get, jobs), "a film in hand")
        service.pull_the_plug()
    states = job_states(folder)
    assert "SUCCESS" not in (states[job] for job in jobs)


def main(name: str) -> None:
    """Make the file of the release that is checked out."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        fill(folder)
        with closing(sqlite3.connect(folder / "var" / "hilum.sqlite")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = ("hilum.sqlite", "archive", "results")
        command = ["tar", "-cJf", str(FOLDER / f"{name}.tar.xz"), "-C", made]
        subprocess.run([*command, *(f"var/{one}" for one in kept)], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
