"""`hilum compare`: two films in files against each other, without network, queue or database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from PIL import Image
from rich.console import Console
from rich.table import Table

from inference.comparison import Comparison
from inference.drawing.colours import Rgb
from inference.drawing.plates import draw_plates, film_plates, heat_plates
from inference.drawing.summary import Caption, draw_comparison, since
from inference.findings import FINDINGS
from inference.image.acquisition import AcquisitionTime, interval
from inference.image.film import PICTURES
from inference.image.gate import Refusal
from inference.settings import DrawingSettings
from inference.statements import NOT_VERIFIED, percent
from scp.commands.console import NOT_A_DEVICE, progress
from scp.commands.opened_pair import CannotCompare, captions_of, limits_between
from scp.commands.part10 import copy_as_part10
from scp.config.load import Settings
from scp.errors import ConfigError, Refused
from scp.pipeline.intake import read_header
from scp.pipeline.reader import Opened, Read, Reader, open_picture
from scp.processes.work import open_reader
from scp.results.identity import Product

log = structlog.get_logger(__name__)

PANEL, CURRENT, PRIOR = "comparison.png", "current.png", "prior.png"
STRUCTURAL, HEATMAPS, FACTS = "structural.png", "heatmaps.png", "comparison.json"
WRITTEN = (PANEL, CURRENT, PRIOR, STRUCTURAL, HEATMAPS, FACTS)

PLATE, HEAT_PLATE = 1200, 800  # units of 1/1500 of the long edge of the panel


@dataclass(frozen=True, eq=False)
class Pair:
    """Two films that were read, and what was found between them.

    ``captions`` say of the current and the prior film when each was taken, and its view.
    """

    current: Read
    prior: Read
    comparison: Comparison

    captions: tuple[Caption, Caption]


def compare_files(
    settings: Settings, current: Path, prior: Path, out: Path, *, as_json: bool
) -> int:
    """Compare two films, write pictures and facts to ``out``, print the facts.

    Returns
    -------
    int
        0 when they were compared, 1 when they are not comparable.

    Raises
    ------
    CannotCompare
        A film may not be read, or the two may not be compared.
    ConfigError
        A file is not there, or ``out`` cannot be written.
    """
    _make_room(out, (current, prior))
    with open_reader(settings) as reader:
        pair = _compared(reader, current, prior)
        product = reader.product
    facts = json.dumps(_facts(pair, product), indent=2)
    with _writing(out):
        for name, picture in pictures_of(pair, product, settings.results.drawing).items():
            Image.fromarray(picture).save(out / name)
        (out / FACTS).write_text(facts + "\n", encoding="utf-8")
    if as_json:
        print(facts)
    else:
        _print(pair, out)
    return 0 if pair.comparison.comparable else 1


def _make_room(out: Path, films: tuple[Path, Path]) -> None:
    """Make the folder, and remove an earlier comparison: it must not pass for this one."""
    for path in films:
        if not path.exists():
            raise ConfigError(f"{path} is not there")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: name one film")
        if not path.is_file():  # a pipe would be waited for
            raise ConfigError(f"{path} is no file: name one film")
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        earlier = [out / name for name in WRITTEN if (out / name).exists()]
        for path in films:
            if any(path.samefile(written) for written in earlier):
                raise ConfigError(f"{path} would be overwritten: name another folder with --out")
        for written in earlier:
            written.unlink()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from error


def _compared(reader: Reader, current: Path, prior: Path) -> Pair:
    """Open both films, then read and compare them."""
    opened, before = (_open(reader, path) for path in (current, prior))
    captions = captions_of(opened, before, reader.zone)
    limits = limits_between(opened, before, captions)
    with progress() as bar:
        read, read_before = (
            reader.ask(film) for film in bar.track((opened, before), description="reading")
        )
    return Pair(read, read_before, reader.compare(read, read_before, limits), captions)


def _open(reader: Reader, path: Path) -> Opened:
    """Open a film as the service does, or a picture. Raises `CannotCompare`."""
    if path.suffix.lower() in PICTURES:
        opened = open_picture(path, reader.gate, reader.check)
    else:
        try:
            with TemporaryDirectory(prefix="hilum-") as folder:
                film = Path(folder, "film.dcm")
                copy_as_part10(path, film)
                read_header(film)
                opened = reader.open(film)
        except (Refused, OSError) as error:
            raise CannotCompare(f"{path} cannot be read: {error}") from error
        except Exception as error:  # whichever of the two it is, its name is told
            log.exception("cannot be read")
            raise CannotCompare(f"{path} cannot be read: {type(error).__name__}") from error
    if isinstance(opened, Refusal):
        raise CannotCompare(f"{path} cannot be read: {opened.detail}")
    return opened


def pictures_of(pair: Pair, product: Product, drawing: DrawingSettings) -> dict[str, Rgb]:
    """Draw what may be shown: of films that are not comparable no difference, and no prior."""
    film, comparison = pair.current.opened.film, pair.comparison
    current, prior = pair.captions
    panel = draw_comparison(
        film,
        comparison,
        current=current,
        prior=prior,
        software=str(product),
        model=pair.current.prediction.model,
        notes=pair.current.opened.notes,
        settings=drawing,
    )
    large, small = (round(units * drawing.long_edge_px / 1500) for units in (PLATE, HEAT_PLATE))
    plates = film_plates(film, comparison, str(current), str(prior), large, large)
    made = {PANEL: panel, CURRENT: draw_plates(plates[:1], drawing)}
    if comparison.comparable:
        made |= {PRIOR: draw_plates(plates[1:2], drawing)}
        made |= {STRUCTURAL: draw_plates(plates[2:], drawing)}
        heats = heat_plates(film, comparison, small, small, drawing.most_findings)
        made |= {HEATMAPS: draw_plates(heats, drawing)} if heats else {}
    return made


def _facts(pair: Pair, product: Product) -> dict[str, object]:
    """Return what was found, for machines. Nothing of the patient, and no file's name."""
    comparison = pair.comparison
    films = zip(pair.captions, (pair.current.opened, pair.prior.opened), strict=True)
    current, prior = (
        {
            "day": f"{caption.taken.when:%Y-%m-%d}" if caption.taken else None,
            "taken": _moment(caption.taken),
            "view": str(caption.view),
            "notes": list(opened.notes),
        }
        for caption, opened in films
    )
    return {
        "comparable": comparison.comparable,
        "reason": comparison.reason,
        "quality": float(comparison.quality),
        "ssim": float(comparison.ssim),
        "current": current,
        "prior": prior,
        "interval": interval(*(caption.taken for caption in pair.captions)),
        "model": asdict(pair.current.prediction.model),
        "software": str(product),
        "findings": [
            {
                "name": finding.name,
                "label": change.label,
                "prior": change.prior,
                "current": change.current,
                "change": change.change,
                "confidence": change.confidence,
            }
            for finding, change in zip(FINDINGS, comparison.changes, strict=True)
        ],
    }


def _moment(taken: AcquisitionTime | None) -> dict[str, str] | None:
    """Return when a film was taken, for machines: no zone but the one that it states."""
    if taken is None:
        return None
    when = taken.when if taken.offset_stated else taken.when.replace(tzinfo=None)
    source, precision = taken.source, taken.precision.value
    return {
        "at": when.isoformat(),
        "precision": precision,
        "from": source,
        "said": taken.text_with_source,
    }


def _print(pair: Pair, out: Path) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    comparison, (current, prior) = pair.comparison, pair.captions
    console.print(f"Current: {current}. Prior: {prior}{since(current, prior)}.")
    if comparison.comparable:
        quality, ssim = comparison.quality, comparison.ssim
        console.print(f"Alignment: correlation {quality:.2f}, SSIM {ssim:.2f}.")
        if comparison.limited:
            console.print(f"{comparison.limited}.")
        console.print(_table(comparison))
    else:
        console.print(f"not comparable: {comparison.reason}")
    console.print(f"The pictures and {FACTS} are in {out}")
    console.print(f"{NOT_VERIFIED} {NOT_A_DEVICE}")


def _table(comparison: Comparison) -> Table:
    table = Table("finding")
    table.add_column("prior", justify="right")
    table.add_column("current", justify="right")
    table.add_column("change")
    for finding, change in zip(FINDINGS, comparison.changes, strict=True):
        table.add_row(
            finding.name,
            percent(change.prior) if change.assessed else "",
            percent(change.current) if change.assessed else "",
            change.text,
            style="bold" if change.called else None,
        )
    return table
