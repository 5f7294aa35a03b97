"""How soon a film is on the screen, and what twenty viewers cost those who send.

    python -m tests.benchmarks.pages [--seconds 5] [--rounds 30] [--viewers 20]

Starts the whole service with the shipped bundle. A film of 3000 x 2500 is opened in Chromium, from
the click to the last pixel painted; beside it the same film as Orthanc's own page has it (an 8-bit
picture, where Orthanc is installed), and the bare transfer of as many bytes, which is the limit.
Then films are sent, five a second, for a while without viewers and for a while with, in random
order; single turns differ by a tenth and more whatever is done, so many short ones are compared in
pairs. A viewer keeps a page open and looks again whenever it is told to; each fourth one opens a
film every few seconds. The worker reads what it can meanwhile. Viewers get what the processors have
left, for they would be other machines.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import perf_counter

import httpx
import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from browser import Tab, open_tab
from films import philips_cr
from orthanc import DICOMWEB, Orthanc
from service import FEWEST_RESULTS, Service

from inference.model.metadata import bundle_folder
from scp.config.destinations import DestinationSettings
from scp.dashboard.security.person import AGAIN, LOOK
from scp.dimse.sender import send
from scp.outcomes.sending import describe
from tests.benchmarks.service import new_film

SCREEN_GOAL_MS, SLOWER_GOAL = 300, 1.05
FILMS_A_SECOND = 5
READS_EVERY_S = 5
SHAPE = (3000, 2500)
LARGE = 7  # films that are opened
_LOOK = {LOOK: AGAIN, "Accept": "text/html"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=5, help="of each turn of sending")
    parser.add_argument("--rounds", type=int, default=30, help="turns without and with viewers")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--watch", metavar="URL", help="be the viewers of this page (internal)")
    options = parser.parse_args()
    if options.watch:
        asyncio.run(watch(options.watch, options.viewers))
        return 0
    with tempfile.TemporaryDirectory(prefix="hilum-benchmark-") as name:
        folder = Path(name)
        paths = [large_film(folder) for _ in range(LARGE)]
        uids = [path.stem for path in paths]
        with Service(folder, bundle_folder(), FEWEST_RESULTS) as service:
            service.storescu(*paths)
            for uid in uids:
                service.outcome(uid)
            address = f"http://127.0.0.1:{service.http_port}"
            good = on_screen(address, uids)
            orthanc_on_screen(paths, folder)
            return int(not (under_load(service, address, folder, options) and good))


def large_film(folder: Path) -> Path:
    """Write the real film at the size of a large detector, 16 bits."""
    ds = dcmread(philips_cr())
    pixels = Image.fromarray(ds.pixel_array.astype(np.float32))
    grown = pixels.resize(SHAPE[::-1], Image.Resampling.BICUBIC)
    stored = np.clip(np.rint(grown), 0, 2**ds.BitsStored - 1).astype(np.uint16)
    ds.Rows, ds.Columns, ds.PixelData = *SHAPE, stored.tobytes()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def on_screen(address: str, uids: list[str]) -> bool:
    """Time films' pages, opened one after the other from the worklist; none was opened before."""
    with open_tab(address) as tab:
        seen, whole = zip(*(shown_ms(tab, uid) for uid in uids), strict=True)
    bare = []
    with httpx.Client() as client:
        for uid in uids:
            started = perf_counter()
            size = len(client.get(f"{address}/films/{uid}/pixels").content)
            bare.append(1000 * (perf_counter() - started))
    limit = statistics.median(bare)
    print(f"film of {SHAPE[0]} x {SHAPE[1]}, 16 bits, on the screen (goal {SCREEN_GOAL_MS} ms)")
    for name, taken in (("seen", seen), ("every pixel", whole)):
        median = statistics.median(taken)
        print(
            f"  {name:12s} first {taken[0]:5.0f} ms   median of {len(taken)} {median:5.0f} ms"
            f"   {median / limit:.1f} x limit"
        )
    print(f"  limit: its {size / 1e6:.0f} MB                    {limit:5.0f} ms")
    return statistics.median(seen) <= SCREEN_GOAL_MS


def shown_ms(tab: Tab, uid: str) -> tuple[float, float]:
    """Return the milliseconds from the click to the film, and to its last pixel."""
    tab.open("/")
    tab.page.locator(f"[id='film-{uid}']").click()
    tab.page.wait_for_url("**/films/*")
    tab.films_shown()
    marks = "performance.getEntriesByName('film {}')[0].startTime"
    seen, whole = (float(tab.page.evaluate(marks.format(what))) for what in ("seen", "whole"))
    return seen, whole


def orthanc_on_screen(films: list[Path], folder: Path) -> None:
    """Time Orthanc's own picture of the films."""
    if not DICOMWEB.exists():
        print("  Orthanc             not installed")
        return
    home = folder / "orthanc"
    home.mkdir()
    with Orthanc(home) as orthanc, open_tab(f"http://127.0.0.1:{orthanc.http_port}") as tab:
        taken = []
        for film in films:
            instance = orthanc.http.post("/instances", content=film.read_bytes()).json()["ID"]
            started = perf_counter()
            tab.page.goto(f"{tab.address}/instances/{instance}/preview")
            tab.until("document.images[0].complete && document.images[0].naturalWidth > 0")
            taken.append(1000 * (perf_counter() - started))
        print(
            f"  Orthanc, 8 bits           median of {len(taken)} {statistics.median(taken):5.0f} ms"
        )


def under_load(service: Service, address: str, folder: Path, options: argparse.Namespace) -> bool:
    """Send without viewers and with, turn about; return whether sending stays as fast."""
    source = dcmread(philips_cr())
    hilum = DestinationSettings(
        name="hilum", ae_title="HILUM", host="127.0.0.1", port=service.dicom_port
    )
    store(hilum, [new_film(source, folder) for _ in range(10)])  # all is warm
    turns: dict[bool, list[list[float]]] = {False: [], True: []}
    with viewers(address, options.viewers) as watching:
        for number in range(options.rounds):
            for watched in random.Random(number).sample((False, True), 2):
                paths = films(source, folder, options.seconds)
                with watching() if watched else contextlib.nullcontext():
                    turns[watched].append(store(hilum, paths))
    print(f"{FILMS_A_SECOND} films/s of 7.2 MB, C-STORE with its association")
    for name, taken in (("alone", turns[False]), (f"{options.viewers} viewers", turns[True])):
        seconds = sorted(itertools.chain(*taken))
        mean, p95 = statistics.mean(seconds), seconds[int(0.95 * len(seconds))]
        print(f"  {name:12s} mean {1000 * mean:5.0f} ms   p95 {1000 * p95:5.0f} ms")
    pairs = zip(turns[True], turns[False], strict=True)
    ratios = [statistics.mean(with_them) / statistics.mean(alone) for with_them, alone in pairs]
    ratio, error = statistics.mean(ratios), statistics.stdev(ratios) / len(ratios) ** 0.5
    print(
        f"  with viewers {ratio:.3f} x +- {error:.3f} in {len(ratios)} pairs (goal {SLOWER_GOAL})"
    )
    return ratio <= SLOWER_GOAL


def films(source: Dataset, folder: Path, seconds: float) -> list[Path]:
    return [new_film(source, folder) for _ in range(round(FILMS_A_SECOND * seconds))]


def store(hilum: DestinationSettings, paths: list[Path]) -> list[float]:
    """Send films at their pace, each with an association; return the seconds that each took."""
    taken, wait, began = [], Event(), perf_counter()
    for number, path in enumerate(paths):
        wait.wait(max(0.0, began + number / FILMS_A_SECOND - perf_counter()))
        started = perf_counter()
        (answer,) = send(hilum, "BENCHMARK", [describe(path)])
        taken.append(perf_counter() - started)
        assert answer.outcome.delivered, str(answer.outcome)
        path.unlink()
    return taken


@contextlib.contextmanager
def viewers(
    address: str, number: int
) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Yield what opens the viewers' pages, in another process; say how often they looked."""
    command = [sys.executable, "-m", "tests.benchmarks.pages", "--watch", address]
    process = subprocess.Popen(
        [*command, "--viewers", str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    @contextlib.contextmanager
    def watching() -> Iterator[None]:
        process.stdin.write("come\n")
        process.stdout.readline()  # all are there
        yield
        process.stdin.write("go\n")
        process.stdout.readline()

    try:
        yield watching
    finally:
        process.stdin.close()
        print(f"  ({process.stdout.read().strip()})")
        process.wait()


async def watch(address: str, number: int) -> None:
    """Be so many viewers whenever told to come, until told to go."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    looks, spent = itertools.count(), 0.0
    while await asyncio.to_thread(sys.stdin.readline):
        limits = httpx.Limits(max_connections=4 * number)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            pages = [asyncio.create_task(keep_open(client, looks)) for _ in range(number)]
            pages += [asyncio.create_task(read_films(client, looks)) for _ in range(number // 4)]
            began = perf_counter()
            await asyncio.sleep(1)
            print("there", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            spent += perf_counter() - began
            for page in pages:
                page.cancel()
            await asyncio.gather(*pages, return_exceptions=True)
        print("gone", flush=True)
    print(f"{next(looks) / spent:.1f} pages and films a second were looked at", flush=True)


async def keep_open(client: httpx.AsyncClient, looks: Iterator[int]) -> None:
    """Look at the worklist, and again whenever there is something new."""
    await client.get("/", headers={"Accept": "text/html"})
    async with client.stream("GET", "/events", timeout=None) as events:
        async for line in events.aiter_lines():
            if line == "event: look":
                (await client.get("/", headers=_LOOK)).raise_for_status()
                next(looks)


async def read_films(client: httpx.AsyncClient, looks: Iterator[int]) -> None:
    """Open one of the newest films every few seconds."""
    for number in itertools.count():
        rows = (await client.get("/api/films", params={"limit": 20})).json()
        uid = rows[number % len(rows)]["uid"]
        await client.get(f"/films/{uid}", headers={"Accept": "text/html"})
        await client.get(f"/films/{uid}/pixels")
        next(looks)
        await asyncio.sleep(READS_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
