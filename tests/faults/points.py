"""The service is killed before and after every step of a film: none is lost, doubled or stuck.

    python -m tests.faults.points            # every point: some twenty minutes

For each point a film is sent, and the process that comes to the point kills itself there
(`inside/sitecustomize.py`). Then all is looked at from outside, as by `tests.faults.crash`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from service import wait_for
from tiny import make_tiny_bundle

from tests.faults.crash import Outcome, film_file, look, running, send

INSIDE = Path(__file__).with_name("inside")
INTAKE, ARCHIVE, QUEUE = "scp.pipeline.intake:Intake", "scp.archive", "scp.pipeline.queue:Jobs"
ANSWER, OUTCOME = "scp.pipeline.answer:Answerer", "scp.pipeline.film_outcome:FilmOutcomes"
PREPARED, SENT = "scp.pipeline.prepared:PreparedAnswers", "scp.pipeline.delivery:Deliverer"
# what is done with a film, in order
STEPS = (
    f"{INTAKE}.ingest",  # received; after it: committed, and Success not yet said
    f"{ARCHIVE}:fsync",
    f"{ARCHIVE}:Archive.keep_film",  # renamed
    f"{QUEUE}.answer_film",  # its job is enqueued and not committed
    f"{ANSWER}.read",  # after it: committed, and the step not yet recorded
    "scp.pipeline.model_output:Analyser.remember",  # read by the network
    "scp.pipeline.prior_fetch:Fetcher.fetch",
    f"{ANSWER}.write",
    f"{PREPARED}.keep",  # the answer is decided
    f"{PREPARED}.place",  # its objects are moved
    f"{OUTCOME}._save_results",  # its rows are written and not committed
    f"{OUTCOME}.state",  # committed
    f"{SENT}.attempt",
    f"{SENT}._deliver",  # before it: the destination has said Success; after it: that is recorded
)
POINTS = tuple(f"{step} {when}" for step in STEPS for when in ("before", "after"))
# one for each commit that a step must not lose or double
FEW = (
    f"{INTAKE}.ingest after",
    f"{PREPARED}.place after",
    f"{OUTCOME}.state after",
    f"{SENT}._deliver before",
)


def at_points(folder: Path, bundle: Path, points: Sequence[str], seed: int = 1) -> Outcome:
    """Send a film for each point, have a process die there, and tell what became of the films."""
    armed = folder / "fail-point"
    environment = {
        "PYTHONPATH": str(INSIDE),
        "FAIL_POINT": str(armed),
        "FAIL_POINTS": ",".join(STEPS),
    }
    outcome, sent = Outcome(len(points)), []
    with running(folder, bundle, environment) as (service, pacs):
        for number, point in enumerate(points):
            path, uid = film_file(folder, number, seed)
            armed.write_text(f"{point} 1")
            send(service, pacs, path, outcome)
            sent.append(uid)
            wait_for(armed.with_suffix(".hit").exists, f"somebody to die at {point}")
            armed.with_suffix(".hit").unlink()
            outcome.kills[point.rpartition(":")[2]] += 1
            service.delivered(uid)
        look(service, pacs, sent, outcome)
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", action="store_true", help="only one for each commit")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as made:
        folder = Path(made)
        outcome = at_points(
            folder, make_tiny_bundle(folder / "bundle"), FEW if options.few else POINTS
        )
    print(outcome)
    return 0 if outcome.held else 1


if __name__ == "__main__":
    sys.exit(main())
