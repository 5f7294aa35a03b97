"""How long a film takes from its last byte in to its first answer at the destination.

    python -m tests.benchmarks.service [--films 20]

Starts the whole service with the shipped bundle and DCMTK's storescp as the destination, and sends
the real film of pydicom-data (1955 x 1841, 16 bits, 7.2 MB) over and over as new films. Prints
each figure beside its goal; the network's forward pass alone, in the same run, is the limit.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from threading import Event
from time import perf_counter

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from inference.image.film import read_film
from inference.model.bundle import load_bundle
from inference.model.engine import Engine
from inference.model.metadata import bundle_folder
from scp.config.destinations import DestinationSettings
from scp.dimse.sender import send
from scp.outcomes.sending import describe
from scp.processes.sockets import open_listener

FIRST_GOAL_S, MEDIAN_GOAL_S, RESIDENT_GOAL_GB = 10, 2, 2.5

CONFIG = """
[receiver]
port = 0
[dashboard]
port = 0
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--films", type=int, default=20, help="how many films")
    count = parser.parse_args().films
    source = dcmread(str(files("data_store") / "data" / "RG1_UNCR.dcm"))
    with tempfile.TemporaryDirectory(prefix="hilum-benchmark-") as folder:
        measure(Path(folder), source, count)
    forward_s = forward_pass_s(source)
    print(f"network alone       {forward_s:6.2f} s a film (the limit)")


def measure(folder: Path, source: Dataset, count: int) -> None:
    answers = folder / "answers"
    answers.mkdir()
    with open_listener("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=port))
    pacs = subprocess.Popen(
        ["storescp", "-aet", "PACS", "-od", answers, "+xa", "-pm", str(port)],
        stderr=subprocess.DEVNULL,
    )
    service = subprocess.Popen(
        [sys.executable, "-m", "scp.cli", "serve", "--config", config],
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
    )
    try:
        ready = service.stdout.readline()
        print(ready.strip())
        hilum = DestinationSettings(
            name="hilum",
            ae_title="HILUM",
            host="127.0.0.1",
            port=int(re.search(r"@127.0.0.1:(\d+)", ready)[1]),
        )
        one_by_one(hilum, source, folder, answers, count)
        all_at_once(hilum, source, folder, answers, count)
        resident = resident_gb(service.pid)
        print(f"resident            {resident:6.2f} GB (goal {RESIDENT_GOAL_GB})")
    finally:
        service.terminate()
        service.wait()
        pacs.kill()


def one_by_one(
    hilum: DestinationSettings, source: Dataset, folder: Path, answers: Path, count: int
) -> None:
    """Send a film, wait for its whole answer, send the next."""
    first_s = []
    for _ in range(count):
        path = new_film(source, folder)
        before = len(list(answers.iterdir()))
        deliver(hilum, path)
        started = perf_counter()
        wait_until(lambda before=before: len(list(answers.iterdir())) > before)
        first_s.append(perf_counter() - started)
        wait_until(lambda before=before: len(list(answers.iterdir())) >= before + 2)
    print(f"first film          {first_s[0]:6.2f} s to its first answer (goal {FIRST_GOAL_S})")
    print(f"median of {count:3d}       {statistics.median(first_s):6.2f} s (goal {MEDIAN_GOAL_S})")
    print(f"slowest             {max(first_s):6.2f} s")


def all_at_once(
    hilum: DestinationSettings, source: Dataset, folder: Path, answers: Path, count: int
) -> None:
    """Send all films without waiting, and wait for the last answer."""
    paths = [new_film(source, folder) for _ in range(count)]
    before = len(list(answers.iterdir()))
    started = perf_counter()
    deliver(hilum, *paths)
    sent = perf_counter() - started
    wait_until(lambda: len(list(answers.iterdir())) >= before + 2 * count)
    total = perf_counter() - started
    print(f"{count} at once, sent   {sent:6.2f} s ({count / sent:.1f} films/s)")
    print(f"{count} at once, done   {total:6.2f} s ({total / count:.2f} s a film)")


def new_film(source: Dataset, folder: Path) -> Path:
    """Write the film as another patient's."""
    source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    source.StudyInstanceUID, source.SeriesInstanceUID = generate_uid(), generate_uid()
    source.PatientID = source.SOPInstanceUID[-16:]
    path = folder / f"{source.SOPInstanceUID}.dcm"
    source.save_as(path, enforce_file_format=True)
    return path


def deliver(hilum: DestinationSettings, *paths: Path) -> None:
    for answer in send(hilum, "BENCHMARK", [describe(path) for path in paths]):
        assert answer.outcome.delivered, str(answer.outcome)


def wait_until(done: Callable[[], bool], timeout_s: float = 300) -> None:
    tick, deadline = Event(), perf_counter() + timeout_s
    while not done():
        assert perf_counter() < deadline, "no answer"
        tick.wait(0.005)


def resident_gb(pid: int) -> float:
    """Return what a process and its children hold; pages that they share count in each."""
    children = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    total = 0
    for process in (str(pid), *children):
        name = Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ").split("scp.cli ")[1]
        kilobytes = int(
            re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]
        )
        print(f"  {name.split()[0]:17s} {kilobytes / 1e6:6.2f} GB")
        total += kilobytes
    return total / 1e6


def forward_pass_s(source: Dataset) -> float:
    film = read_film(source)
    with Engine(load_bundle(bundle_folder())) as engine:
        engine.read(film)
        started = perf_counter()
        for _ in range(5):
            engine.read(film)
        return (perf_counter() - started) / 5


if __name__ == "__main__":
    main()
