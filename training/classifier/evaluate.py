"""All measurements of a bundle: for a terminal, for machines, and to be read.

``report.html`` is one file with its pictures inside: it can be mailed, and needs no network.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Group, RenderableType

from inference.findings import ModelIdentity, Prediction
from training.data.record import Record
from training.errors import TrainingError
from training.evaluation.classification import (
    COLUMNS,
    Evaluation,
    evaluate_sample,
    summary,
    without_nan,
)
from training.evaluation.origin import CAVEAT, beside_origin, origin_sheet
from training.evaluation.per_film import PerFilm, per_film
from training.evaluation.per_film import text_table as per_film_sheet
from training.evaluation.reference import Comparison, compare_all
from training.evaluation.sample import ScoredSample, scored_sample
from training.evaluation.statistics import BOOTSTRAPS, Doubles
from training.evaluation.subsets import ALL, QUOTED, LeftOut, subsets_of
from training.evaluation.text_table import TextTable, say


class NoPlots(TrainingError, ImportError):
    """The package that draws is not installed; the text says how to get it."""


@dataclass(frozen=True, eq=False)
class Report:
    """What was measured of one bundle on one split.

    Attributes
    ----------
    sample, theirs
        What it was measured on, for the curves; the reference's scores, (films, 14), nan where it
        has no film, or None without one.
    """

    model: ModelIdentity
    split: str
    evaluations: tuple[Evaluation, ...]
    left_out: tuple[LeftOut, ...]
    comparisons: tuple[Comparison, ...]
    per_film: tuple[PerFilm, ...]
    sample: ScoredSample
    theirs: Doubles | None
    quoted_films: tuple[int, ...]

    @property
    def title(self) -> str:
        """Whose figures these are."""
        return f"{self.model.name} {self.model.version} on the {self.split} films"

    @property
    def quoted(self) -> list[Evaluation]:
        """Return all films and the films to quote."""
        return [each for each in self.evaluations if each.subset in (ALL, QUOTED)]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what is undefined is None."""
        plain: dict[str, Any] = without_nan(
            {
                "bundle": self.model.name,
                "version": self.model.version,
                "sha256": self.model.sha256,
                "split": self.split,
                "bootstraps": BOOTSTRAPS,
                "subsets": [asdict(evaluation) for evaluation in self.evaluations],
                "left_out": [asdict(left) for left in self.left_out],
                "comparisons": [asdict(comparison) for comparison in self.comparisons],
                "per_film": [asdict(each) for each in self.per_film],
                "origin": {
                    "caveat": CAVEAT,
                    "subsets": [
                        {
                            "subset": each.subset,
                            "rows": [asdict(row) for row in beside_origin(each)],
                        }
                        for each in self.quoted
                    ],
                },
            }
        )
        return plain

    def print(self) -> None:
        """Print the tables."""
        say(Group(*self._parts()))

    def _parts(self) -> Iterator[RenderableType]:
        yield from (evaluation.table() for evaluation in self.quoted)
        yield summary(self.evaluations).table()
        yield per_film_sheet(self.per_film).table()
        yield from (f"{left}" for left in self.left_out)
        yield from (comparison.sheet().table() for comparison in self.comparisons)
        yield origin_sheet(self.quoted).table()
        yield CAVEAT
        yield f"Intervals: 95 %, from {BOOTSTRAPS} bootstraps of patients."


def measure_bundle(
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    model: ModelIdentity,
    theirs: Doubles | None = None,
    reference: str = "",
) -> Report:
    """Measure every subset, and compare with another network's scores, (films, 14).

    Parameters
    ----------
    predictions, records
        Same length and order, of one split.
    """
    sample = scored_sample(predictions, records)
    subsets, left_out = subsets_of(records)
    compared = [] if theirs is None else compare_all(sample, theirs, records, reference)
    return Report(
        model=model,
        split=records[0].split,
        evaluations=tuple(evaluate_sample(s.name, sample.take(s.films)) for s in subsets),
        left_out=tuple(left_out),
        comparisons=tuple(compared),
        per_film=tuple(
            per_film(s.name, sample.take(s.films)) for s in subsets if s.name in (ALL, QUOTED)
        ),
        sample=sample,
        theirs=theirs,
        quoted_films=next((s.films for s in subsets if s.name == QUOTED), ()),
    )


def need_plots() -> None:
    """Raise NoPlots if pictures cannot be drawn: better said before an hour of reading films."""
    try:
        import matplotlib  # noqa: F401, PLC0415
    except ImportError as error:
        text = "--out draws with the package matplotlib: `make setup` in hilum's folder installs it"
        raise NoPlots(text) from error


def write_report(report: Report, folder: Path) -> Path:
    """Write report.html, evaluation.json and the pictures into a folder; return the page."""
    from training.evaluation.plots import draw_all  # noqa: PLC0415 - all but this works without matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=2, allow_nan=False)
    (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    pictures = draw_all(folder, report.evaluations[0], report.sample, _lines(report))
    page = folder / "report.html"
    page.write_text(_html(report, pictures), encoding="utf-8")
    return page


def _lines(report: Report) -> list[Any]:
    from training.evaluation.plots import Line  # noqa: PLC0415

    sample = report.sample
    lines = [Line(ALL, sample.scores, sample.positive)]
    if report.quoted_films:
        quoted = sample.take(report.quoted_films)
        lines.append(Line(QUOTED, quoted.scores, quoted.positive))
    if report.theirs is not None:
        found = ~np.isnan(report.theirs[:, 0])
        name = report.comparisons[0].reference
        lines.append(Line(name, report.theirs[found], sample.positive[found]))
    return lines


def _html(report: Report, pictures: dict[str, Path]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    full = [TextTable(each.title, COLUMNS, tuple(each.rows())) for each in report.evaluations]
    return environment.get_template("report.html").render(
        report=report,
        bootstraps=BOOTSTRAPS,
        quoted=full[: len(report.quoted)],
        others=full[len(report.quoted) :],
        summary=summary(report.evaluations),
        per_film=per_film_sheet(report.per_film),
        comparisons=[comparison.sheet() for comparison in report.comparisons],
        origin=origin_sheet(report.quoted),
        caveat=CAVEAT,
        pictures={title: _data_uri(path) for title, path in pictures.items()},
    )


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
