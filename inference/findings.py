"""The 14 findings of ChestX-ray14, what a network says of them, and what has changed.

Codes were verified against the DICOM dictionaries and independent public code bases
(docs/results.md). References: Wang et al., ChestX-ray8, CVPR 2017; PS3.16 CID 6102 ff.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from inference.cardiothoracic import RatioStatement

FloatArray = npt.NDArray[np.floating[Any]]

PRIVATE_SCHEME = "99HILUM"


@dataclass(frozen=True)
class Concept:
    """A coded concept: code value, coding scheme designator, code meaning (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str


LUNG = Concept("39607008", "SCT", "Lung")
HEART = Concept("80891009", "SCT", "Heart")
PLEURA = Concept("3120008", "SCT", "Pleura")
THORAX = Concept("816094009", "SCT", "Thorax")


@dataclass(frozen=True)
class Finding:
    """One of the 14 findings.

    ``label`` is the ChestX-ray14 column, ``name`` what a radiologist reads, ``code`` and
    ``site`` what a report carries.
    """

    label: str
    name: str
    code: Concept
    site: Concept


FINDINGS: tuple[Finding, ...] = (
    Finding("Atelectasis", "Atelectasis", Concept("46621007", "SCT", "Atelectasis"), LUNG),
    Finding("Cardiomegaly", "Cardiomegaly", Concept("8186001", "SCT", "Cardiomegaly"), HEART),
    Finding("Effusion", "Effusion", Concept("60046008", "SCT", "Pleural effusion"), PLEURA),
    Finding("Infiltration", "Infiltration", Concept("112121", "DCM", "Infiltrate"), LUNG),
    Finding("Mass", "Mass", Concept("4147007", "SCT", "Mass"), LUNG),
    Finding("Nodule", "Nodule", Concept("27925004", "SCT", "Nodule"), LUNG),
    Finding("Pneumonia", "Pneumonia", Concept("233604007", "SCT", "Pneumonia"), LUNG),
    Finding("Pneumothorax", "Pneumothorax", Concept("36118008", "SCT", "Pneumothorax"), PLEURA),
    Finding(
        "Consolidation", "Consolidation", Concept("95436008", "SCT", "Lung consolidation"), LUNG
    ),
    Finding("Edema", "Edema", Concept("19242006", "SCT", "Pulmonary edema"), LUNG),
    Finding("Emphysema", "Emphysema", Concept("87433001", "SCT", "Pulmonary emphysema"), LUNG),
    Finding("Fibrosis", "Fibrosis", Concept("51615001", "SCT", "Fibrosis of lung"), LUNG),
    Finding(
        "Pleural_Thickening",
        "Pleural thickening",
        # no verified SNOMED CT code: declared private until someone with a browser supplies one;
        # at most 16 characters, or it becomes a Long Code Value, which few viewers read
        Concept("pl-thickening", PRIVATE_SCHEME, "Pleural thickening"),
        PLEURA,
    ),
    Finding("Hernia", "Hernia", Concept("39839004", "SCT", "Diaphragmatic hernia"), THORAX),
)

LABELS: tuple[str, ...] = tuple(finding.label for finding in FINDINGS)


# said on every picture, however short the space is
NOT_VERIFIED = "Made by a machine, not verified by a physician."

# for a positive finding whose map is not shown
WITHHELD = "heat map withheld: place not verified"
# said beside a map or outline that is shown although nothing shows that it points at the finding
PLACE_NOT_VERIFIED = "place not verified"
# for a finding that the network was not shown to discriminate: neither present nor absent
NOT_ASSESSED = "not assessed"


def _all_true() -> npt.NDArray[np.bool_]:
    return np.ones(len(LABELS), np.bool_)


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights were used: the bundle's name, version, and the SHA-256 of its files."""

    name: str
    version: str
    sha256: str


@overload
def reaches(probability: float, threshold: float) -> bool: ...
@overload
def reaches(probability: FloatArray, threshold: FloatArray) -> npt.NDArray[np.bool_]: ...
def reaches(probability: Any, threshold: Any) -> Any:
    """Return whether a finding is positive: its probability reaches the threshold.

    Both in [0, 1]: numbers, or arrays of any shape that broadcast. The only place that decides;
    `inference.statements` has the words for it.
    """
    return probability >= threshold


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What the network says of one film, free of any site's settings; in the order of `FINDINGS`.

    This is what is stored. `inference.model.operating_points` makes a `Prediction` of it.

    Attributes
    ----------
    log_odds
        (14,), ``log(p / (1 - p))`` of each finding by the bundle's own calibration.
    maps
        (14, h, w), the same of each cell of the class activation map. The grid spans the whole
        film, edge to edge, at the network's own resolution.
    model
        Which weights were used.
    ratio
        What is stated of the cardiothoracic ratio; None where the bundle finds no heart.
    """

    log_odds: FloatArray
    maps: FloatArray
    model: ModelIdentity
    ratio: RatioStatement | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """The findings of one film at one site, in the order of `FINDINGS`.

    Attributes
    ----------
    probabilities
        (14,), calibrated, at the site's prevalences, in [0, 1].
    thresholds
        (14,), operating points on the same scale; at or above is positive.
    heatmaps
        (14, h, w) in [0, 1]; 1 is the strongest evidence for it. The grid spans the whole
        film, edge to edge, at the network's own resolution.
    model
        Which weights were used.
    assessed
        (14,), False where the network was not shown to tell the finding apart: then nothing is
        stated, it is neither positive nor absent.
    verified
        (14,), False where the finding's maps were not shown to point at it.
    drawn
        (14,), False where the site's settings keep the finding's map from being drawn.
    ratio
        What is stated of the cardiothoracic ratio; None where the bundle finds no heart.
    """

    probabilities: FloatArray
    thresholds: FloatArray
    heatmaps: FloatArray
    model: ModelIdentity
    assessed: npt.NDArray[np.bool_] = field(default_factory=_all_true)
    verified: npt.NDArray[np.bool_] = field(default_factory=_all_true)
    drawn: npt.NDArray[np.bool_] = field(default_factory=_all_true)
    ratio: RatioStatement | None = None

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """(14,), True where an assessed finding's probability reaches its threshold."""
        positive: npt.NDArray[np.bool_] = self.assessed & reaches(
            self.probabilities, self.thresholds
        )
        return positive

    @property
    def withheld(self) -> npt.NDArray[np.bool_]:
        """(14,), True where a positive finding has a map that is not drawn."""
        withheld: npt.NDArray[np.bool_] = self.positive & ~self.drawn
        return withheld

    @property
    def not_assessed(self) -> tuple[str, ...]:
        """The names of the findings that are not assessed."""
        pairs = zip(FINDINGS, self.assessed, strict=True)
        return tuple(finding.name for finding, assessed in pairs if not assessed)

    def place_of(self, finding: int) -> str:
        """Return what follows a finding's name beside its map: "" where it is verified."""
        return "" if self.verified[finding] else f", {PLACE_NOT_VERIFIED}"

    @property
    def mapped(self) -> list[int]:
        """The positive findings that have a map, by index: the most probable first."""
        there = np.flatnonzero(self.positive & ~self.withheld)
        return sorted(map(int, there), key=lambda i: -self.probabilities[i])


class Change(StrEnum):
    """What became of a finding since the prior film."""

    NEW = "new"
    INCREASED = "increased"
    UNCHANGED = "unchanged"
    DECREASED = "decreased"
    RESOLVED = "resolved"
    UNCERTAIN = "uncertain"


CALLED = (Change.NEW, Change.INCREASED, Change.DECREASED, Change.RESOLVED)
"""The words that name a change."""
