"""What priors are, as the query and the retrieval understand them, and what a site can set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from inference.image.acquisition import AcquisitionTime
from scp.errors import NoPatientKey


@dataclass(frozen=True)
class Patient:
    """Patient ID and its issuer ("" when the film names none), as they are asked for: exactly.

    Raises
    ------
    NoPatientKey
        Empty, more than one value, or with a character that PS3.4 C.2.2.2 makes a wild card.
    """

    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.patient_id.strip():
            raise NoPatientKey("the film has no Patient ID: priors are not asked for")
        for name, value in (("Patient ID", self.patient_id), ("its issuer", self.issuer)):
            if len(value) > 64 or not value.isprintable() or set(value) & set("*?\\"):  # PS3.5 6.2
                raise NoPatientKey(
                    f"{name} is too long for an LO, has several values, or has a wild card"
                    " (* ?): it may match other patients, so priors are not asked for"
                )


@dataclass(frozen=True)
class Current:
    """The film that priors are wanted for."""

    patient: Patient
    study_uid: str
    taken: AcquisitionTime


@dataclass(frozen=True)
class Image:
    """One object at the PACS, by the unique keys of its levels (PS3.4 C.6.2.1)."""

    study_uid: str
    series_uid: str
    sop_uid: str


@dataclass(frozen=True)
class Prior:
    """An earlier study with films: those to be fetched, and how many are here already."""

    study_uid: str
    taken_at: datetime
    images: tuple[Image, ...]
    held: int = 0


class Dropped(StrEnum):
    """Why something that the PACS returned is no prior: words for logs and metrics."""

    OTHER_PATIENT = "of another patient"
    ISSUER_NOT_SAID = "issuer not returned"
    NOT_EARLIER = "not earlier than the film"
    TOO_OLD = "older than years"
    NO_DATE = "without a study date"
    OTHER_MODALITY = "of another modality"
    OWN_RESULT = "made by hilum"
    NOT_ASKED = "not below what was asked for"
    UNUSABLE = "without a usable UID"


@dataclass(frozen=True)
class Found:
    """Priors, the newest first, and how much of what was returned is none."""

    priors: tuple[Prior, ...]
    dropped: Mapping[Dropped, int]

    @property
    def images(self) -> tuple[Image, ...]:
        """All that is to be fetched, the newest first."""
        return tuple(image for prior in self.priors for image in prior.images)
