"""Films are sent while processes of the service are killed: none is lost, doubled or stuck.

    python -m tests.faults.crash                               # 12 films, 6 kills: minutes
    python -m tests.faults.crash --films 2000 --kills 100      # `make crash-test`: hours

A role, a decoder process, the destination, or every process of the service at once gets SIGKILL
while a film is on its way; `tests.faults.points` kills between two steps. All is looked at from
outside: DCMTK sends the films, again where it got no Success, and takes the answers. Victims and
moments follow from the seed; what they hit does not.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import urllib.error
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from films import make_film_ds
from peers import require_peer
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for
from tiny import make_tiny_bundle

DECODER = "decoder"
DESTINATION = "destination"
EVERYTHING = "everything"
VICTIMS = ("receive", "work", "work", DECODER, "dashboard", DESTINATION, EVERYTHING)
_PROPOSED = {ExplicitVRLittleEndian: "-xe", JPEG2000Lossless: "-xv"}
_MOMENTS_S = 1.5  # after a film was sent, the kill comes within so much
_PATIENCE_S = 900


@dataclass
class Outcome:
    """What became of the films, by SOP Instance UID, and of the objects that answer them."""

    films: int
    kills: Counter[str] = field(default_factory=Counter)
    sent_again: int = 0
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    left_over: int = 0

    @property
    def held(self) -> bool:
        """Whether every film that got Success has one answer, and the PACS has no other."""
        return not (self.lost or self.stuck or self.doubled or self.unknown or self.left_over)

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} {times}" for victim, times in sorted(self.kills.items()))
        return (
            f"{self.films} films, {self.kills.total()} kills ({kills}), {self.sent_again} sent"
            f" again: {len(self.lost)} lost, {len(self.doubled)} doubled, {len(self.stuck)} stuck,"
            f" {len(self.unknown)} objects in the PACS that the index does not know;"
            f" {self.left_over} files left over"
        )


def crash(folder: Path, bundle: Path, films: int, kills: int, seed: int) -> Outcome:
    """Send films, kill as often, and tell what became of them once all is quiet."""
    choices = random.Random(seed)
    outcome = Outcome(films)
    with running(folder, bundle) as (service, pacs):
        strikes = Counter(choices.randrange(films) for _ in range(kills))
        sent = []
        for number in range(films):
            path, uid = film_file(folder, number, seed)
            send(service, pacs, path, outcome, strikes[number], choices)
            sent.append(uid)
            path.unlink()
        look(service, pacs, sent, outcome)
    return outcome


@contextmanager
def running(
    folder: Path, bundle: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Service, StoreScp]]:
    """Run the service and its destination."""
    with StoreScp(folder / "pacs") as pacs:
        extra = "[priors]\nsettle_s = 0\n" + FEWEST_RESULTS + destination(pacs.port)
        with Service(folder, bundle, extra, **(environment or {})) as service:
            yield service, pacs


def film_file(folder: Path, number: int, seed: int) -> tuple[Path, str]:
    """Write a film; every other one is compressed, so that decoder processes have work."""
    syntax = (ExplicitVRLittleEndian, JPEG2000Lossless)[number % 2]
    patient = f"CRASH-{seed}-{number}"  # its own: a film with a prior may rightly have two answers
    ds = make_film_ds(patient_id=patient, seed=1000 * seed + number, transfer_syntax=syntax)
    path = folder / f"{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path, str(ds.SOPInstanceUID)


def send(
    service: Service,
    pacs: StoreScp,
    path: Path,
    outcome: Outcome,
    strikes: int = 0,
    choices: random.Random | None = None,
) -> None:
    """Send a film until it gets Success, and kill meanwhile or soon after."""
    syntax = dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    for again in range(100):
        command = [require_peer("storescu"), "-aec", "HILUM", _PROPOSED[syntax]]
        sender = subprocess.Popen(
            [*command, "127.0.0.1", str(service.dicom_port), path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(strikes if choices else 0):
            Event().wait(choices.uniform(0, _MOMENTS_S))
            outcome.kills[_kill(service, pacs, choices.choice(VICTIMS))] += 1
        strikes = 0
        if sender.wait(_PATIENCE_S) == 0:
            outcome.sent_again += again
            return
        Event().wait(0.5)
    raise AssertionError(f"{path.name} never got Success")


def _kill(service: Service, pacs: StoreScp, victim: str) -> str:
    """Kill somebody, and start what nobody else starts; return who was killed in truth."""
    if victim == DESTINATION:
        pacs.stop()
        pacs.start()
        return victim
    if victim == EVERYTHING:
        service.pull_the_plug()
        service.start()
        return victim
    try:
        pids = _decoders(service) if victim == DECODER else [service.pid_of(victim)]
    except subprocess.CalledProcessError:  # it is down, and comes up again
        pids = []
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return victim if pids else "nobody"


def _decoders(service: Service) -> list[int]:
    """Return the decoder processes of the worker."""
    command = ["pgrep", "-P", str(service.pid_of("work")), "-f", "decoder_process"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid in found.split()]


def look(service: Service, pacs: StoreScp, sent: Sequence[str], outcome: Outcome) -> None:
    """Wait until every film is answered and delivered, and compare with what the PACS has."""
    known: set[str] = set()
    for uid in sent:
        try:
            film = service.delivered(uid)
        except urllib.error.HTTPError:
            outcome.lost.append(uid)
            continue
        except AssertionError:
            (outcome.lost if service.film(uid)["state"] == "failed" else outcome.stuck).append(uid)
            continue
        kinds = [one["kind"] for one in film["results"]]
        if len(set(kinds)) < len(kinds):
            outcome.doubled.append(uid)
        known.update(one["uid"] for one in film["results"])
    wait_for(lambda: len(pacs.files()) >= len(known), "the last objects", 60)
    taken = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in pacs.files()}
    outcome.unknown = sorted(taken - known)
    prepared = service.folder / "var" / "prepared"
    wait_for(lambda: not list(prepared.iterdir()), "half answers to be finished or deleted", 60)
    results = {path.stem for path in (service.folder / "var" / "results").rglob("*.dcm")}
    outcome.left_over = len(results - known)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bundle", type=Path, help="by default a tiny one, made for it")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        bundle = options.bundle or make_tiny_bundle(Path(folder) / "bundle")
        outcome = crash(Path(folder), bundle, options.films, options.kills, options.seed)
    print(outcome)
    return 0 if outcome.held else 1


if __name__ == "__main__":
    sys.exit(main())
