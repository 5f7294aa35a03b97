"""The cardiothoracic ratio of a film, for a page, a script or a command."""

from dataclasses import dataclass

from inference.cardiothoracic import RatioStatement
from scp.index.schema.tables import Analysis


@dataclass(frozen=True)
class RatioRow:
    """The cardiothoracic ratio of one film, or why none is stated (``withheld``).

    ``error`` is the mean absolute one of the model's ratios, ``films`` on how many it was measured.
    ``meaning`` says the same in words.
    """

    value: float | None
    error: float
    films: int
    withheld: str
    meaning: str

    @classmethod
    def of(cls, row: Analysis) -> "RatioRow | None":
        """Return what is stated of the film of a row; None where nothing looked for a heart."""
        ratio = RatioStatement.from_row(row.ratio)
        if ratio is None:
            return None
        value = ratio.stated.value if ratio.stated else None
        return cls(value, ratio.error, ratio.films, ratio.withheld, ratio.sentence)
