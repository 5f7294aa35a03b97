"""Settings of a destination of results."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scp.config.network import AETitle
from scp.config.results import ResultKind
from scp.config.tls import ClientTlsSettings


class DestinationSettings(BaseModel):
    """Where results go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["dimse"] = Field("dimse", description="the protocol; dimse is DICOM C-STORE")
    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,40}$",
        description="its name in logs and on pages",
        examples=["pacs"],
    )
    ae_title: AETitle = Field(description="its AE title", examples=["PACS"])
    host: str = Field(description="its address or host name", examples=["127.0.0.1"])
    port: int = Field(ge=1, le=65535, description="its DICOM port", examples=[11113])
    kinds: tuple[ResultKind, ...] = Field(
        (),
        description='which kinds of object it gets, as ["report", "summary-capture"]; empty: '
        "all that [results] makes. summary-capture, finding-capture, comparison-capture, report, "
        "presentation-state, segmentation, label-map, not-analysed",
    )
    timeout_s: float = Field(
        30, gt=0, description="seconds without an answer after which an attempt has failed"
    )
    first_retry_s: float = Field(
        5, gt=0, description="seconds until the second attempt; each further wait is twice as long"
    )
    longest_retry_s: float = Field(
        300, gt=0, description="the longest wait: a PACS that returns gets its results within it"
    )
    give_up_after_h: float = Field(
        72, gt=0, description="hours until a dead letter: longer than a weekend's outage"
    )
    tls: ClientTlsSettings = ClientTlsSettings()
