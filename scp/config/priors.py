"""Settings of fetching priors from the PACS."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scp.config.network import AETitle
from scp.config.tls import ClientTlsSettings


@dataclass(frozen=True)
class Remote:
    """Whom to ask."""

    ae_title: str
    host: str
    port: int
    tls: ClientTlsSettings = field(default_factory=ClientTlsSettings)

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


class PriorsSettings(BaseModel):
    """Where priors that hilum does not have are fetched, and how long one that comes is awaited.

    They are asked for when a film was read, before it is answered.
    """

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
        description="leave out studies for which the PACS does not say who issued the Patient ID, "
        "when the film says it; switch off only where all IDs in the PACS are of one issuer",
    )
    retry_s: float = Field(
        60,
        gt=0,
        description="seconds until the PACS is asked again for what it did not send; each further "
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
    tls: ClientTlsSettings = ClientTlsSettings()

    @property
    def remote(self) -> Remote:
        """Whom to ask."""
        return Remote(self.ae_title, self.host, self.port, self.tls)
