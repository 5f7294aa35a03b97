"""Numbers as points of a drawing: what the templates put into SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference.findings import FINDINGS, reaches
from scp.index.trend import TrendPoint

# of a small chart, in the drawing's own units; the margins hold the words at the axes
WIDTH, HEIGHT = 320, 130
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 24
RATIO_ENDS = (0.25, 0.8)  # what ratios are plausible (`inference.model.cardiothoracic`)
# where a scale of probabilities may end
_ENDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Dot:
    """One film's probability, and where it is drawn."""

    x: float
    y: float
    film_uid: str
    at: datetime
    taken: str
    probability: float
    positive: bool


@dataclass(frozen=True)
class FindingLine:
    """How one finding went; ``end`` is the probability at the top of the drawing."""

    label: str
    name: str
    threshold: float
    threshold_y: float
    end: float
    dots: tuple[Dot, ...]

    @property
    def path(self) -> str:
        """The dots, as the points of a polyline."""
        return " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in self.dots)

    @property
    def last(self) -> Dot:
        """The newest film's."""
        return self.dots[-1]

    @property
    def ever_positive(self) -> bool:
        """Whether any film was at or above the threshold."""
        return any(dot.positive for dot in self.dots)

    @property
    def says(self) -> str:
        """The line in words, for who cannot see it."""
        first, last = self.dots[0], self.last
        at = f"{last.at:%Y-%m-%d}: {last.probability:.1%}"
        if len(self.dots) > 1:
            at = f"From {first.probability:.1%} on {first.at:%Y-%m-%d} to {at[12:]} on {at[:10]}"
        over = sum(dot.positive for dot in self.dots)
        return (
            f"{at}. The site's threshold is {self.threshold:.1%};"
            f" {over} of {len(self.dots)} films are above it."
        )


@dataclass(frozen=True)
class RatioDot:
    """One film's cardiothoracic ratio, and where it is drawn."""

    x: float
    y: float
    film_uid: str
    at: datetime
    taken: str
    value: float


@dataclass(frozen=True)
class RatioLine:
    """How the cardiothoracic ratio went over the films on which one is stated."""

    dots: tuple[RatioDot, ...]

    @property
    def path(self) -> str:
        """The dots, as the points of a polyline."""
        return " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in self.dots)

    @property
    def last(self) -> RatioDot:
        """The newest film's."""
        return self.dots[-1]

    @property
    def says(self) -> str:
        """The line in words, for who cannot see it."""
        said = (f"{dot.value:.2f} on {dot.at:%Y-%m-%d}" for dot in self.dots)
        return f"{', '.join(said)}."


def ratio_line(points: Sequence[TrendPoint]) -> RatioLine | None:
    """Return the line of the ratios that are stated, oldest first; None without any."""
    stated = [(point, point.ratio) for point in points if point.ratio is not None]
    if not stated:
        return None
    xs = _to_scale([point.at for point, _ in stated])
    low, high = RATIO_ENDS
    dots = (
        RatioDot(
            x,
            _y(min(max(value, low), high) - low, high - low),
            point.film_uid,
            point.at,
            point.taken,
            value,
        )
        for x, (point, value) in zip(xs, stated, strict=True)
    )
    return RatioLine(tuple(dots))


def finding_lines(
    points: Sequence[TrendPoint], thresholds: Mapping[str, float]
) -> list[FindingLine]:
    """Return a line for each finding: those that were ever positive first.

    ``points`` are oldest first, ``thresholds`` by label. Time is to scale; each line has a scale
    of its own, for some findings are never probable.
    """
    if not points:
        return []
    xs = _to_scale([point.at for point in points])
    lines = [
        _line(f.label, f.name, thresholds[f.label], points, xs)
        for f in FINDINGS
        if f.label in thresholds
    ]
    return sorted(lines, key=lambda line: not line.ever_positive)


def _line(
    label: str, name: str, threshold: float, points: Sequence[TrendPoint], xs: Sequence[float]
) -> FindingLine:
    values = [point.probabilities[label] for point in points]
    end = _end([*values, threshold])
    dots = (
        Dot(
            x,
            _y(value, end),
            point.film_uid,
            point.at,
            point.taken,
            value,
            reaches(value, threshold),
        )
        for x, value, point in zip(xs, values, points, strict=True)
    )
    return FindingLine(label, name, threshold, _y(threshold, end), end, tuple(dots))


def _end(values: Iterable[float]) -> float:
    """Return where a scale ends so that it holds all values."""
    most = max(values)
    return next((end for end in _ENDS if end >= most), 1.0)


def _y(value: float, end: float) -> float:
    return round(TOP + (1 - value / end) * (HEIGHT - TOP - BOTTOM), 1)


def _to_scale(moments: Sequence[datetime]) -> list[float]:
    """Return the positions of moments from left to right; a single one in the middle."""
    first, last = min(moments), max(moments)
    width = WIDTH - LEFT - RIGHT
    span = (last - first).total_seconds()
    if span == 0:
        return [LEFT + width / 2] * len(moments)
    return [round(LEFT + width * (at - first).total_seconds() / span, 1) for at in moments]
