"""Curves of each finding as PNG pictures: ROC, precision over recall, reliability.

Drawn without pyplot: no window, no state of the whole process.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from inference.findings import FINDINGS
from training.evaluation.classification import Evaluation, FindingScore
from training.evaluation.sample import ScoredSample
from training.evaluation.statistics import (
    BINS,
    Doubles,
    Estimate,
    Flags,
    Ranking,
    bins_of,
    patient_draws,
    rank,
    share,
)

# colours that the colour-blind tell apart (Okabe and Ito), and a quiet grey
OURS, QUOTED_FILMS, THEIRS, QUIET = "#0072b2", "#d55e00", "#6f6f6f", "#b0b0b0"
STYLES: tuple[tuple[str, Literal["-", "--"], float], ...] = (
    (OURS, "-", 1.8),
    (QUOTED_FILMS, "-", 1.2),
    (THEIRS, "--", 1.2),
)


@dataclass(frozen=True, eq=False)
class Line:
    """Scores and truth of some films, (films, 14) each, to be drawn as one curve a finding."""

    name: str
    scores: Doubles
    positive: Flags


@dataclass(frozen=True, eq=False)
class Picture:
    """One small panel a finding: ``draw`` gets a panel and the finding's place in `FINDINGS`."""

    title: str
    x: str
    y: str
    draw: Callable[[Axes, int], None]
    legend: tuple[Line2D, ...]


def draw_all(
    folder: Path, evaluation: Evaluation, sample: ScoredSample, lines: Sequence[Line]
) -> dict[str, Path]:
    """Write roc.png, precision_recall.png and reliability.png; return them by their titles.

    Parameters
    ----------
    evaluation, sample
        Of the films whose operating points and reliability are drawn.
    lines
        The curves of the first two pictures, at most three.
    """
    of = f"{evaluation.subset} ({evaluation.films} films of {evaluation.patients} patients)"
    scores = evaluation.findings
    pictures = {
        "roc.png": Picture(
            f"Receiver operating characteristic, operating points of {of}",
            "false positive rate (1 - specificity)",
            "recall (sensitivity)",
            lambda panel, k: _roc(panel, scores[k], _rankings(lines, k)),
            _legend(lines),
        ),
        "precision_recall.png": Picture(
            f"Precision over recall, operating points of {of}",
            "recall (sensitivity)",
            "precision",
            lambda panel, k: _precision_recall(panel, scores[k], _rankings(lines, k)),
            _legend(lines),
        ),
        "reliability.png": Picture(
            f"Reliability of the probabilities, {of}",
            "mean probability",
            "share of films with the finding",
            lambda panel, k: _reliability(panel, scores[k], sample, k),
            (
                _dot(OURS, f"one of {BINS} bins of equally many films,\n95 % interval"),
                _dotted("as often as said"),
            ),
        ),
    }
    for name, picture in pictures.items():
        _save(folder / name, picture)
    return {picture.title: folder / name for name, picture in pictures.items()}


def _rankings(lines: Sequence[Line], k: int) -> Iterator[Ranking]:
    for line in lines:
        yield rank(line.scores[:, k], line.positive[:, k], np.ones((1, len(line.scores))))


def _legend(lines: Sequence[Line]) -> tuple[Line2D, ...]:
    handles = [
        Line2D([], [], color=colour, linestyle=dash, linewidth=width, label=line.name)
        for line, (colour, dash, width) in zip(lines, STYLES, strict=False)
    ]
    return (*handles, _dot("black", "operating point, 95 % intervals"), _dotted("chance"))


def _dot(colour: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, linewidth=1, marker="o", markersize=4, label=label)


def _dotted(label: str) -> Line2D:
    return Line2D([], [], color=QUIET, linestyle=":", label=label)


def _save(path: Path, picture: Picture) -> None:
    """Draw a page of four columns, the legend in the free place at the end."""
    figure = Figure(figsize=(11, 11.6), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(4, 4).ravel()
    for k, finding in enumerate(FINDINGS):
        picture.draw(panels[k], k)
        panels[k].set_title(finding.name, fontsize=10, fontweight="bold")
        panels[k].tick_params(labelsize=8, color=QUIET)
        panels[k].set_box_aspect(1)
        for side in ("top", "right"):
            panels[k].spines[side].set_visible(False)
    for spare in panels[len(FINDINGS) :]:
        spare.axis("off")
    legend = panels[len(FINDINGS)].legend(
        handles=picture.legend, loc="center left", fontsize=10, frameon=False
    )
    legend.set_in_layout(False)  # it may be wider than its panel
    figure.suptitle(picture.title, fontsize=12)
    figure.supxlabel(picture.x, fontsize=10)
    figure.supylabel(picture.y, fontsize=10)
    figure.savefig(path)


def _roc(axes: Axes, score: FindingScore, rankings: Iterator[Ranking]) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":")
    for ranking, (colour, dash, width) in zip(rankings, STYLES, strict=False):
        hits, alarms = _shares(ranking.positives), _shares(ranking.negatives)
        axes.plot(alarms, hits, color=colour, linestyle=dash, linewidth=width)
    spared = score.specificity
    alarms_at = Estimate(1 - spared.value, 1 - spared.high, 1 - spared.low)
    _cross(axes, alarms_at, score.recall)
    _unit(axes)
    _say(axes, f"AUC {score.auc.value:.2f} ({score.auc.low:.2f} to {score.auc.high:.2f})", 0.03)


def _precision_recall(axes: Axes, score: FindingScore, rankings: Iterator[Ranking]) -> None:
    """Draw the step curve below which the average precision is the area."""
    for ranking, (colour, dash, width) in zip(rankings, STYLES, strict=False):
        hits, alarms = np.cumsum(ranking.positives[0]), np.cumsum(ranking.negatives[0])
        if colour == OURS:  # what flagging every film would give
            axes.axhline(hits[-1] / (hits[-1] + alarms[-1]), color=QUIET, linestyle=":")
        gained = ranking.positives[0] > 0
        if gained.any():
            precision, recall = (hits / (hits + alarms))[gained], (hits / hits[-1])[gained]
            steps = np.r_[0, recall], np.r_[precision[0], precision]
            axes.step(*steps, where="pre", color=colour, linestyle=dash, linewidth=width)
    _cross(axes, score.recall, score.precision)
    _unit(axes)
    mean = score.average_precision
    _say(axes, f"AP {mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})", 0.93)


def _reliability(axes: Axes, score: FindingScore, sample: ScoredSample, k: int) -> None:
    ones = np.ones((1, len(sample)))
    scores, positive = sample.scores[:, k], sample.positive[:, k]
    ranking = rank(scores, positive, ones)
    place = bins_of(ranking)[0][np.searchsorted(-ranking.scores, -scores)]  # (films,)
    member = (place[:, None] == np.arange(BINS)).astype(float)  # (films, bins)
    mean = share(scores @ member, member.sum(axis=0))
    seen = _observed(ones, member, positive)[0]
    draws = np.concatenate(
        [_observed(weights, member, positive) for weights in patient_draws(sample.patients)]
    )
    filled = ~np.isnan(mean)  # equal scores may leave a bin empty
    mean, seen = mean[filled], seen[filled]
    low, high = np.nanpercentile(draws[:, filled], [2.5, 97.5], axis=0)
    top = float(max(mean.max(), high.max(), 0.01))
    axes.plot([0, top], [0, top], color=QUIET, linestyle=":")
    axes.vlines(mean, low, high, color=OURS, linewidth=1)
    axes.plot(mean, seen, color=OURS, marker="o", markersize=4, linestyle="")
    for limit, axis in ((axes.set_xlim, axes.xaxis), (axes.set_ylim, axes.yaxis)):
        limit(-0.03 * top, 1.18 * top)  # room for the text
        axis.set_major_locator(MaxNLocator(4))
    error = score.ece
    _say(axes, f"error {error.value:.3f} ({error.low:.3f} to {error.high:.3f})", 0.93)


def _observed(weights: Doubles, member: Doubles, positive: Flags) -> Doubles:
    """Return the share of positive films in each bin, (draws, bins)."""
    return share(weights @ (member * positive[:, None]), weights @ member)


def _shares(weights: Doubles) -> Doubles:
    """Return the share of one class's (1, groups) above each threshold, from 0 to 1."""
    summed = np.r_[0.0, np.cumsum(weights[0])]
    return summed / summed[-1] if summed[-1] else np.full_like(summed, np.nan)


def _cross(axes: Axes, x: Estimate, y: Estimate) -> None:
    """Mark an operating point and both intervals, if it is defined."""
    if np.isnan(x.value) or np.isnan(y.value):
        return
    axes.plot([x.low, x.high], [y.value, y.value], color="black", linewidth=1)
    axes.plot([x.value, x.value], [y.low, y.high], color="black", linewidth=1)
    axes.plot(x.value, y.value, color="black", marker="o", markersize=4)


def _unit(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])


def _say(axes: Axes, text: str, height: float) -> None:
    """Write at the right edge; ``height`` in [0, 1] of the panel."""
    axes.text(
        0.98,
        height,
        text,
        transform=axes.transAxes,
        ha="right",
        color=OURS,
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )
