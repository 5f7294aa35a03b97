"""Settings of DICOM over TLS (PS3.15 B.12)."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _whole_path(text: str) -> str:
    if text and not PurePosixPath(text).is_absolute():
        raise ValueError("write the whole path, from / on")
    return text


PemFile = Annotated[str, AfterValidator(_whole_path)]
MinimumVersion = Literal["1.2", "1.3"]
_MINIMUM = 'the oldest version of TLS: "1.2" or "1.3"; older ones are never spoken (RFC 8996)'


class ReceiverTlsSettings(BaseModel):
    """DICOM over TLS, for peers that send to us.

    Renewed files count from the next connection on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["off", "beside", "only"] = Field(
        "off",
        description='"off"; "beside": on a port of its own, beside the one without TLS; "only": on'
        " that port alone, and nothing without TLS",
    )
    port: int = Field(
        2762,
        ge=0,
        le=65535,
        description="the registered port of DICOM TLS; 0 takes a free one",
    )
    certificate: PemFile = Field(
        "",
        description="PEM file with our certificate, then any between it and its CA; whole path",
    )
    key: PemFile = Field(
        "",
        description="PEM file with its private key, without a password and readable by hilum alone",
    )
    ca: PemFile = Field(
        "",
        description="PEM file with the CAs whose certificates peers may have, or with the peers'"
        " own certificates",
    )
    client_certificate: Literal["required", "optional", "none"] = Field(
        "required",
        description='whether a peer must have a certificate: "required"; "optional": one that it'
        ' sends must be good; "none": it is not asked for one, and only encryption is gained',
    )
    minimum_version: MinimumVersion = Field("1.2", description=_MINIMUM)

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if self.mode == "off":
            return self
        if not (self.certificate and self.key):
            raise ValueError("[receiver.tls] needs certificate and key")
        if self.client_certificate != "none" and not self.ca:
            raise ValueError(
                "[receiver.tls] needs ca, the CAs of the peers' certificates; or say"
                ' client_certificate = "none"'
            )
        return self


class ClientTlsSettings(BaseModel):
    """DICOM over TLS, as we call this peer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        False, description="speak TLS; what cannot be said so is not said, and waits"
    )
    ca: PemFile = Field(
        "",
        description="PEM file with the CAs that may have signed its certificate, or with that"
        " certificate itself; whole path",
    )
    name: str = Field(
        "",
        max_length=255,
        description="the name that its certificate must bear, as common name or subjectAltName;"
        " empty: that of host",
    )
    certificate: PemFile = Field(
        "",
        description="PEM file with our certificate, for a peer that asks for one; empty: none",
    )
    key: PemFile = Field("", description="PEM file with its private key, without a password")
    minimum_version: MinimumVersion = Field("1.2", description=_MINIMUM)

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if not self.enabled and (self.ca or self.name or self.certificate):
            raise ValueError("tls has settings and is off: set enabled = true, or remove them")
        if self.enabled and not self.ca:
            raise ValueError("tls needs ca, the CAs that may have signed the peer's certificate")
        if bool(self.certificate) != bool(self.key):
            raise ValueError("tls needs certificate and key together")
        return self
