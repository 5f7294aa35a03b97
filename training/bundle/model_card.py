"""The model card: what a bundle states about itself, for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.model.calibration import OutputCalibration
from inference.model.metadata import CARD, Hilum
from inference.settings import Architecture
from training.evaluation.classification import COLUMNS, Evaluation, summary
from training.evaluation.subsets import ALL, QUOTED
from training.evaluation.text_table import TextTable

HEADING = "## How each output is read"

NOTICE = (
    "A demonstration, not a medical device. It was trained on few films with text-mined labels; "
    "its probabilities must not influence the care of a patient."
)

NO_TERMS = "those of the films and labels that taught the weights; whoever trained them knows which"


@dataclass(frozen=True)
class Description:
    """What a bundle says of itself.

    Attributes
    ----------
    terms
        Of use of the weights; those of the code are others.
    judges
        The films on which operating points and calibration were fitted.
    """

    name: str
    version: str
    architecture: Architecture
    training_data: str
    command: str
    terms: str = NO_TERMS
    judges: str = "the validation films"


def write_card(
    folder: Path, description: Description, hilum: Hilum, evaluations: Sequence[Evaluation]
) -> None:
    """Write the model card; it is no part of the bundle's identity."""
    lines = [
        f"# {description.name} {description.version}",
        "",
        NOTICE,
        "",
        f"A {description.architecture} reads one frontal chest X-ray of an adult and gives a "
        "probability and a heat map for each of the 14 findings of ChestX-ray14 "
        "(Wang et al., CVPR 2017; the films are NIH Clinical Center's).",
        "",
        f"**Trained on** {description.training_data}",
        "",
        f"**Terms of use** of the weights: {description.terms}.",
        "",
        "**Limits.** Labels were mined from reports by a program and are often wrong. "
        "Probabilities hold where findings are as frequent as stated below. Operating points leave "
        f"90 % of {description.judges} without a finding unflagged. Nothing was measured on films "
        "of another hospital, on children, on lateral films, or by a radiologist.",
        "",
        f"**Made by** `{description.command}`",
        "",
        f"**Input check** {_check(hilum)}",
        "",
        f"**Lung fields** {_lungs(hilum)}",
        "",
        f"**Heart** {_heart(hilum)}",
        "",
        *_readings(hilum),
        *_measured(evaluations),
    ]
    if not evaluations:
        lines += ["**Measured:** nothing.", ""]
    (folder / CARD).write_text("\n".join(lines))


def renew_card(folder: Path, version: str, hilum: Hilum) -> None:
    """Renew a bundle's version and calibrations in its card; the rest of it stays."""
    title, *lines = (folder / CARD).read_text().split("\n")
    first = lines.index(HEADING)
    table = next(k for k in range(first, len(lines)) if lines[k].startswith("|"))
    last = next(k for k in range(table, len(lines)) if not lines[k].startswith("|"))
    lines[first : last + 1] = _readings(hilum)
    (folder / CARD).write_text("\n".join([f"{title.rpartition(' ')[0]} {version}", *lines]))


def _check(hilum: Hilum) -> str:
    if hilum.input_check is None:
        return "none: a picture that is no upright frontal chest film is answered all the same."
    return (
        "a second, small network refuses what does not look like an upright frontal chest film of "
        "the right polarity, and says when left and right look exchanged."
    )


def _lungs(hilum: Hilum) -> str:
    if hilum.lung_fields is None:
        return "none: nothing says where on a film the lungs lie."
    return (
        "a small network of their own finds both lungs, for the comparison with an earlier film. "
        "It was taught by healthy films with painted opacities."
    )


def _heart(hilum: Hilum) -> str:
    if hilum.heart is None:
        return "none: no cardiothoracic ratio is stated."
    error = hilum.heart.error
    if error is None or not hilum.heart.states_ratio:
        return "a network that finds lungs and heart, not exactly enough: no ratio is stated."
    return (
        "a network of its own finds lungs and heart, for the cardiothoracic ratio, which is stated "
        f"on PA films alone. On {error.films} films that neither taught nor chose the epoch its "
        f"mean absolute error is {error.mean_absolute:.3f} (bias {error.bias:+.3f}, 95 % limits of "
        f"agreement {error.limits[0]:+.3f} to {error.limits[1]:+.3f}); {error.withheld} more were "
        "withheld. Taught by films of several hospitals, diseased ones too (Wingspan, MIT)."
    )


def _readings(hilum: Hilum) -> list[str]:
    """Return how each output is read, and how far what was said held on the validation films."""
    columns = ("finding", "prevalence assumed", "operating point", "said -> held", "AUC", "map")
    rows = [
        (
            label,
            f"{reading.prevalence:.3f}",
            f"{reading.threshold:.3f}",
            ", ".join(f"{b.probability:.2f} -> {b.frequency:.2f}" for b in reading.reliability),
            _told_apart(reading),
            _pointing(reading),
        )
        for label, reading in hilum.readings.items()
    ]
    return [
        HEADING,
        "",
        "Fitted on the films that judge. *Said -> held*: the mean probability of each fifth of "
        "them, and the share that has the finding. *AUC*: within source, on films that did not "
        "teach; a finding whose interval does not lie above 0.5 is not assessed. *Map*: the share "
        "of boxes on films that did not teach that hold its peak, and in brackets that of a random "
        "box, the mean map and another film's map; one that does not beat all three is not shown.",
        "",
        *TextTable("", columns, tuple(rows)).markdown(),
        "",
    ]


def _told_apart(reading: OutputCalibration) -> str:
    found = reading.unseen
    if found is None:
        return "not measured"
    if found.low is None:
        return f"not assessed: {found.positives} films with it"
    interval = f"{found.auc:.2f} ({found.low:.2f} to {found.high:.2f})"
    return interval if found.assessed else f"{interval}: not assessed"


def _pointing(reading: OutputCalibration) -> str:
    found = reading.maps
    if found is None:
        return "not measured: not shown"
    controls = f"{found.random_box:.2f}, {found.mean_map:.2f}, {found.other_film:.2f}"
    verdict = "verified" if found.verified else "not verified, not shown"
    return f"{found.pointing:.2f} of {found.boxes} ({controls}): {verdict}"


def _measured(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return every finding on all films and on those to quote, and one line a group."""
    quoted = [evaluation for evaluation in evaluations if evaluation.subset in (ALL, QUOTED)]
    lines = []
    for evaluation in quoted:
        sheet = TextTable(evaluation.title, COLUMNS, tuple(evaluation.rows()))
        lines += [f"## Test split, {evaluation.title}", "", *sheet.markdown(), ""]
    if len(evaluations) > len(quoted):
        lines += ["## Test split, by group of films", "", *summary(evaluations).markdown(), ""]
    return lines
