"""How two films were taken and stored, as far as comparing them depends on it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.dataset import Dataset

from inference.comparison.change_null import Condition
from inference.image.film import Film
from inference.image.header import texts
from inference.image.limitations import PORTABLE, SUPINE
from inference.image.view import View


class Side(StrEnum):
    """Which way round a picture looks, left and right; a heart in the middle tells neither."""

    AS_USUAL = "as usual"
    MIRRORED = "mirrored"
    UNCLEAR = "unclear"

    @property
    def mirrored(self) -> "Side":
        """How the picture looks when it is mirrored."""
        return {Side.AS_USUAL: Side.MIRRORED, Side.MIRRORED: Side.AS_USUAL}.get(self, Side.UNCLEAR)


@dataclass(frozen=True)
class Acquisition:
    """What the header and the input check say of how one film was taken and stored.

    Attributes
    ----------
    stored_mirrored
        PatientOrientation says that the rows run towards the patient's right.
    looks
        Which way round the picture looks, as it is stored.
    notes
        What limits reading the film (`inference.image.limitations`).
    """

    stored_mirrored: bool = False
    looks: Side = Side.UNCLEAR
    notes: tuple[str, ...] = ()

    @property
    def bedside(self) -> bool:
        """Whether the header calls the film portable or supine."""
        return PORTABLE in self.notes or SUPINE in self.notes

    @property
    def by_its_header(self) -> Side:
        """Which way round the picture looks, once the header's orientation was followed."""
        return self.looks.mirrored if self.stored_mirrored else self.looks


def is_stored_mirrored(ds: Dataset) -> bool:
    """Say whether the rows run towards the patient's right (PS3.3 C.7.6.1.1.1)."""
    return [one.upper()[:1] for one in texts(ds, "PatientOrientation")][:1] == ["R"]


@dataclass(frozen=True)
class Mirroring:
    """Which of two films must be mirrored before they are compared, or why they cannot be.

    Attributes
    ----------
    current, prior
        Whether that film is mirrored.
    refusal
        Why it is not known which way round the films are; "" when it is.
    sure
        Header and picture agree on it, of both films.
    """

    current: bool
    prior: bool
    refusal: str = ""
    sure: bool = False

    @property
    def any(self) -> bool:
        """Whether either film was read mirrored, as the network was never taught to."""
        return self.current or self.prior

    @property
    def sentences(self) -> list[str]:
        """One sentence for each film that is mirrored."""
        return [
            f"the {name} film is mirrored left to right, and was mirrored back to compare it"
            for name, is_so in (("current", self.current), ("prior", self.prior))
            if is_so
        ]


def mirroring(current: Acquisition, prior: Acquisition) -> Mirroring:
    """Decide which film must be mirrored so that left lies on left.

    The header's orientation is followed first. If one film then looks mirrored and the other as
    usual, one of the two was stored the wrong way round: a heart does not change sides between two
    films of one patient. If both look mirrored the patient has a situs inversus, or both films
    were stored alike, and they fit.
    """
    sure = current.by_its_header is prior.by_its_header is Side.AS_USUAL
    flip = Mirroring(current.stored_mirrored, prior.stored_mirrored, sure=sure)
    films = (("current", current, prior), ("prior", prior, current))
    wrong = [film for film in films if film[1].by_its_header is Side.MIRRORED]
    if len(wrong) != 1:
        return flip
    name, one, other = wrong[0]
    if one.stored_mirrored:
        refusal = f"PatientOrientation calls the {name} film mirrored, but it does not look so"
        return replace(flip, refusal=refusal)
    if other.by_its_header is Side.UNCLEAR:
        refusal = f"only the {name} film looks mirrored left to right, but the other may be too"
        return replace(flip, refusal=refusal)
    return replace(flip, current=True) if name == "current" else replace(flip, prior=True)


def condition_of(
    films: tuple[Film, Film], taken: tuple[Acquisition, Acquisition]
) -> Condition | None:
    """Return how two films were taken; None when their views are not stated."""
    views = {film.view for film in films}
    if not views <= {View.PA, View.AP}:
        return None
    if any(one.bedside for one in taken):
        return Condition.BEDSIDE
    return Condition.PA_AP if len(views) > 1 else Condition(views.pop().value)
