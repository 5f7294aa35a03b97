"""`hilum demo`: a real film through the running service, and what comes back.

The film is the Philips CR chest film of the package pydicom-data. Its "prior" is made from it and
says so in its pixels and in its header: a real pair that may be given away does not exist.
"""

import copy
import hashlib
import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import TypeAdapter
from pydicom import Dataset
from rich.console import Console
from rich.table import Table
from skimage.transform import SimilarityTransform, warp

from inference.findings import NOT_ASSESSED, FloatArray
from inference.image.dicom_file import read_dicom
from inference.statements import NOT_VERIFIED, percent, side_of_threshold
from scp.commands.console import NOT_A_DEVICE, numbered, outcome_of, progress
from scp.commands.send import send_files
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.dimse.sender import send
from scp.errors import HilumError, ServiceError
from scp.index.schema.tables import FilmState
from scp.index.values import FilmRow, FindingRow
from scp.outcomes.sending import Unreachable, describe
from scp.results.identity import derive_uid

_LABEL = "SIMULATED EARLIER FILM"
_PATIENCE_S = 120  # of the demonstration, with a cold disk; the service itself takes a second
_UNFINISHED = (FilmState.RECEIVED, FilmState.ANALYSED)


class DemoFailed(HilumError):
    """The demonstration did not come to its end; the text says where."""


def run_demo(settings: Settings, out: Path) -> int:
    """Send both films, wait, fetch the answers to ``out``, print them; return the exit code."""
    host, port = settings.dashboard.host, settings.dashboard.port
    url = f"http://{host}:{port}"
    out.mkdir(parents=True, exist_ok=True)
    with _films() as paths, progress() as bar:
        task = bar.add_task("sending two films over DICOM", total=2)
        for path in paths:
            _send(settings, path)
            bar.advance(task)
        task = bar.add_task("waiting for the answers", total=2)
        rows, fetched = [], []
        for path in paths:
            rows.append(_await(url, read_dicom(path, stop_before_pixels=True).SOPInstanceUID))
            fetched += _fetch(url, rows[-1], out / path.stem)
            bar.advance(task)
    _print(rows[-1], fetched, url)
    return 0 if all(row.state is FilmState.ANSWERED for row in rows) else 1


def films_for_a_pacs(to: str) -> int:
    """Send both films to a PACS, which sends them on to the service; return the exit code."""
    with _films() as paths:
        return send_files(paths, to, "DEMO", as_json=False)


@contextmanager
def _films() -> Iterator[tuple[Path, Path]]:
    """Yield the files of both films, the earlier one first."""
    current = _real_film()
    with tempfile.TemporaryDirectory(prefix="hilum-demo-") as folder:
        paths = Path(folder) / "earlier.dcm", Path(folder) / "current.dcm"
        for ds, path in zip((simulated_prior(current), current), paths, strict=True):
            ds.save_as(path, enforce_file_format=True)
        yield paths


def _real_film() -> Dataset:
    """Return the real film. Raises `DemoFailed` where its package is not installed.

    It says that its pixels are 0 mm wide, and no viewer can draw it so: that is taken out, which
    makes it another object.
    """
    try:
        path = Path(str(files("data_store") / "data" / "RG1_UNCR.dcm"))
    except ModuleNotFoundError as error:
        raise DemoFailed("the film is not installed: pip install pydicom-data") from error
    ds = read_dicom(path)
    del ds.PixelSpacing
    ds.SOPInstanceUID = derive_uid(ds.SOPInstanceUID, "without pixel spacing")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def simulated_prior(ds: Dataset) -> Dataset:
    """Return an earlier film made from this one: moved, with an opacity that is gone by now.

    It carries "SIMULATED EARLIER FILM" in pixels, series description and comments.
    """
    prior = copy.deepcopy(ds)
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(prior, keyword, "20030314")
    prior.AccessionNumber = ""
    prior.StudyDescription = prior.SeriesDescription = prior.ImageComments = _LABEL
    prior.BurnedInAnnotation = "YES"
    stored = _change(ds.pixel_array.astype(np.float32) / 32767)  # 15 bits
    prior.PixelData = (stored * 32767).astype(np.uint16).tobytes()
    # of the pixels too: another release that draws other ones must make another object
    digest = hashlib.sha256(prior.PixelData).hexdigest()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(prior, keyword, derive_uid(getattr(ds, keyword), "simulated", digest))
    prior.file_meta.MediaStorageSOPInstanceUID = prior.SOPInstanceUID
    return prior


def _change(pixels: FloatArray) -> FloatArray:
    """Move the picture, put an opacity into the right lower zone, and write on it.

    ``pixels`` (rows, columns) in [0, 1] as stored in MONOCHROME1: dense is low.
    """
    rows, columns = pixels.shape
    move = SimilarityTransform(scale=1.02, rotation=np.deg2rad(1.5), translation=(-30, 12))
    moved = warp(pixels, move, mode="edge")
    y, x = np.mgrid[0:rows, 0:columns]
    distance = np.hypot((y - 0.62 * rows) / (0.07 * rows), (x - 0.27 * columns) / (0.06 * columns))
    moved -= 0.12 * np.exp(-(distance**2))
    text = Image.new("L", (columns, rows), 0)
    font = ImageFont.load_default(size=rows // 28)
    ImageDraw.Draw(text).text((columns // 20, rows // 40), _LABEL, fill=255, font=font)
    changed: FloatArray = np.where(np.asarray(text) > 127, 0.0, np.clip(moved, 0, 1))
    return changed


def _send(settings: Settings, path: Path) -> None:
    """Send a file to our own receiver. Raises `ServiceError` when it does not run."""
    receiver = settings.receiver
    destination = DestinationSettings(
        name="hilum", ae_title=receiver.ae_title, host=receiver.host, port=receiver.port
    )
    try:
        (answer,) = send(destination, "DEMO", [describe(path)])
    except Unreachable as error:
        raise ServiceError(f"{error}: start `make serve` in another terminal first") from error
    if not answer.outcome.delivered:  # a duplicate is: it came another way
        raise DemoFailed(f"the receiver did not accept the film:  {answer.outcome}")


def _await(url: str, uid: str) -> FilmRow:
    """Ask the dashboard until a film has its outcome."""
    tick, waited_s = Event(), 0.0
    while waited_s < _PATIENCE_S:
        row = TypeAdapter(FilmRow).validate_python(json.loads(_get(f"{url}/api/films/{uid}")))
        if row.state not in _UNFINISHED:
            return row
        tick.wait(0.25)
        waited_s += 0.25
    raise DemoFailed(f"no answer after {_PATIENCE_S} s: see {url} and the service's log")


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        raise ServiceError(
            f"{url} answers {error.code} {error.reason}: the demonstration needs a dashboard that"
            ' asks for no login, [dashboard] host = "127.0.0.1"'
        ) from error
    except urllib.error.URLError as error:
        raise ServiceError(
            f"{url} does not answer ({error.reason}): is `make serve` running?"
        ) from error


def _fetch(url: str, row: FilmRow, prefix: Path) -> list[Path]:
    """Fetch a film's results, and a PNG of those that are pictures."""
    fetched = []
    names = numbered(result.kind for result in row.results)
    for name, result in zip(names, row.results, strict=True):
        endings = (".dcm", ".png") if result.kind.endswith("capture") else (".dcm",)
        for ending in endings:
            path = prefix.with_name(f"{prefix.name}-{name}{ending}")
            path.write_bytes(_get(f"{url}/results/{result.uid}{ending}"))
            fetched.append(path)
    return fetched


def _side(finding: FindingRow) -> str:
    side = side_of_threshold(finding.probability, finding.threshold)
    return f"{side} {percent(finding.threshold)}"


def about_the_masses(findings: Sequence[FindingRow]) -> str:
    """Say of the demonstration's film what anybody can see on it, and the network does not."""
    mass = next(finding for finding in findings if finding.label == "Mass")
    if mass.positive:
        return "Several round masses can be seen on this film; the network finds Mass likely."
    return (
        "Several round masses can be seen on this film, and the network does not find Mass likely:"
        " it is a demonstration, and misses most findings (docs/model.md)."
    )


def _print(row: FilmRow, paths: list[Path], url: str) -> None:
    console = Console()
    console.print(f"The current film: {outcome_of(row)} (model {row.model})")
    table = Table("finding", "probability", "site's threshold", "prior", "change")
    for finding in row.findings:
        prior = finding.prior_probability
        table.add_row(
            finding.name,
            percent(finding.probability) if finding.assessed else "",
            _side(finding) if finding.assessed else NOT_ASSESSED,
            "" if prior is None else percent(prior),
            str(finding.change or ""),
        )
    console.print(table)
    files_table = Table("what came back", "bytes")
    for path in paths:
        files_table.add_row(str(path), f"{path.stat().st_size:,}")
    console.print(files_table)
    console.print(f"Both films are on the dashboard: {url}")
    if row.findings:
        console.print(about_the_masses(row.findings))
    console.print(f"{row.outcome} {NOT_VERIFIED}")
    console.print(f"The earlier film is simulated. {NOT_A_DEVICE}")
