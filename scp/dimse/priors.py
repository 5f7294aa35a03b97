"""What priors are, as the query and the retrieval understand them, and what a site can set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.image.acquisition import AcquisitionTime
from scp.dimse.deadline import Remote
from scp.dimse.peers import AETitle
from scp.errors import NoPatientKey


class PriorsSettings(BaseModel):
    """Where priors that hilum does not have are fetched, and how long one that comes is awaited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrieve: Literal["off", "get", "move"] = Field(
        "off",
        description='how: "off" compares only with films that were sent here; "get" fetches on our '
        'own connection (C-GET); "move" has the PACS send to our receiver (C-MOVE), for which it '
        "must know our AE title and be one of [[receiver.peers]]",
    )
    ae_title: AETitle = Field("PACS", description="the AE title that the PACS answers queries by")
    host: str = Field("127.0.0.1", description="its address or host name")
    port: int = Field(104, ge=1, le=65535, description="its DICOM port")
    at_most: int = Field(
        3, ge=1, le=20, description="earlier studies fetched for one film, the newest first"
    )
    years: int = Field(10, ge=1, le=100, description="years; older studies are not asked for")
    timeout_s: float = Field(
        20,
        gt=0,
        description="seconds for finding and fetching together; what has not come by then is "
        "done without",
    )
    issuer_required: bool = Field(
        True,
        description="do without studies for which the PACS does not say who issued the Patient ID, "
        "when the film says it; switch off only where all IDs in the PACS are of one issuer",
    )
    retry_s: float = Field(
        60,
        gt=0,
        description="seconds until the PACS is asked again for what it did not bring; each further "
        "wait is twice as long. Meanwhile other films do not wait for a PACS that is silent",
    )
    attempts: int = Field(
        10,
        ge=1,
        le=20,
        description="how often the PACS is asked for one film's priors; 10 reach over eight hours",
    )
    settle_s: int = Field(
        default=60,
        ge=0,
        le=86400,
        description="seconds between an older film's arrival and the second answer of a newer one "
        "that is now to be compared with it: old films that come together lead to one more answer "
        "and not to one each",
    )

    @property
    def remote(self) -> Remote:
        """Whom to ask."""
        return Remote(self.ae_title, self.host, self.port)


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
