"""What is stated of a film's cardiothoracic ratio. Light: importing it loads no torch.

The heart's width is the farthest that its silhouette reaches to the right of the midline and the
farthest to the left, together: where the midline lies does not change their sum. The chest's is
the longest horizontal line, in one row, from the outer border of one lung to that of the other.

References
----------
Danzer, The cardiothoracic ratio, Am J Med Sci 157 (1919), 513.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME = "Cardiothoracic ratio"


@dataclass(frozen=True)
class Line:
    """A horizontal line on a film, in pixels of its grid: a row, and columns at its ends.

    Positions are those of edges: pixel k lies between k and k + 1.
    """

    row: float
    left: float
    right: float

    @property
    def length(self) -> float:
        """How many columns it spans."""
        return self.right - self.left

    def scaled(self, down: float, across: float) -> "Line":
        """Return the same line on a grid of so many times the rows and the columns."""
        return Line(self.row * down, self.left * across, self.right * across)


@dataclass(frozen=True)
class CardiothoracicRatio:
    """The two lines, in pixels of the film, and how they compare."""

    heart: Line
    chest: Line

    @property
    def value(self) -> float:
        """The heart's width as a share of the chest's."""
        return self.heart.length / self.chest.length


@dataclass(frozen=True)
class RatioStatement:
    """What is stated of one film: its ratio and how far that may be off, or why none.

    Attributes
    ----------
    measured
        None where the outlines allow no ratio.
    fault
        Why the network's own output allows none, in words; "" where it does.
    error, films
        Mean absolute error of the bundle's ratios, and on how many films it was measured.
    forbidden
        Why the film's header allows none, in words; "" where it does.
    """

    measured: CardiothoracicRatio | None
    fault: str
    error: float
    films: int
    forbidden: str = ""

    @property
    def withheld(self) -> str:
        """Why no ratio is stated, in words; "" where one is."""
        return self.forbidden or self.fault

    @property
    def stated(self) -> CardiothoracicRatio | None:
        """The ratio, where it is stated."""
        return None if self.withheld else self.measured

    @property
    def sentence(self) -> str:
        """Say the ratio with its error, or why none is stated."""
        if self.stated is None:
            return f"{NAME} not stated: {self.withheld}"
        return (
            f"{NAME} {self.stated.value:.2f} (mean absolute error {self.error:.3f} on "
            f"{self.films} films)"
        )

    def as_row(self) -> dict[str, Any]:
        """Return plain values, as the index keeps them."""
        lines = None
        if self.measured is not None:
            both = (self.measured.heart, self.measured.chest)
            lines = [[one.row, one.left, one.right] for one in both]
        return {
            "lines": lines,
            "fault": self.fault,
            "forbidden": self.forbidden,
            "error": self.error,
            "films": self.films,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any] | None) -> "RatioStatement | None":
        """Return what a row says; None where nothing looked for a heart."""
        if row is None:
            return None
        lines = row["lines"]
        measured = None if lines is None else CardiothoracicRatio(*(Line(*one) for one in lines))
        return cls(measured, row["fault"], row["error"], row["films"], row["forbidden"])
