"""Settings of the DICOM receiver and its peers."""

import ipaddress
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from scp.config.tls import ReceiverTlsSettings

# ASCII without control characters and backslash; spaces around it do not count (PS3.5 6.2)
AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]


class Peer(BaseModel):
    """A system that may send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: AETitle = Field(description="its AE title, as it calls itself", examples=["PACS"])
    host: str = Field(
        description="its address or host name; a connection from elsewhere is refused",
        examples=["127.0.0.1"],
    )
    tls: bool = Field(False, description="refuse it without TLS")
    certificate_names: tuple[str, ...] = Field(
        (),
        description="refuse it without a certificate of one of these names, as common name or"
        " subjectAltName; empty: any that [receiver.tls] ca signed",
    )

    @property
    def must_use_tls(self) -> bool:
        """Whether it is refused without TLS."""
        return self.tls or bool(self.certificate_names)


class ReceiverSettings(BaseModel):
    """How films come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: AETitle = Field("HILUM", description="our AE title, which callers must use")
    host: str = Field(
        "127.0.0.1",
        description='address to listen on; "0.0.0.0" for all, once peers are named',
    )
    port: int = Field(
        11112, ge=0, le=65535, description="the registered DICOM port; 0 takes a free one"
    )
    processes: int = Field(
        1, ge=1, le=16, description="receiver processes on the one port; one takes some 20 films/s"
    )
    max_associations: int = Field(
        50,
        ge=1,
        description="open associations per process; further ones are rejected as a "
        "temporary congestion",
    )
    max_associations_per_peer: int = Field(
        40,
        ge=1,
        description="of these, open associations of one AE title or one address; where several"
        " peers are entered, at least one is always left for the others. C-ECHO alone has room of"
        " its own",
    )
    timeout_s: float = Field(
        60, gt=0, description="seconds of silence after which an association is given up"
    )
    max_object_mb: int = Field(
        512,
        ge=1,
        le=4096,
        description="megabytes of one object as it comes; a larger one is refused with 0xC001 and"
        " not kept",
    )
    peers: tuple[Peer, ...] = Field((), description="who may send; empty: only this machine itself")
    tls: ReceiverTlsSettings = ReceiverTlsSettings()

    @model_validator(mode="after")
    def _tls_can_be_had(self) -> Self:
        strict = [peer.ae_title for peer in self.peers if peer.must_use_tls]
        if strict and self.tls.mode == "off":
            raise ValueError(f"peer {strict[0]} is to use TLS: set [receiver.tls] mode")
        named = [peer.ae_title for peer in self.peers if peer.certificate_names]
        if named and self.tls.client_certificate == "none":
            raise ValueError(
                f"peer {named[0]} is to have a certificate: set [receiver.tls] client_certificate"
            )
        if self.tls.mode == "beside" and self.port == self.tls.port != 0:
            raise ValueError("[receiver] port and [receiver.tls] port are the same")
        return self

    @property
    def at_most_each(self) -> int:
        """How many associations one peer may have, so that there is room for the others."""
        if len(self.peers) < 2:
            return self.max_associations
        return min(self.max_associations_per_peer, max(1, self.max_associations - 1))


def is_loopback(host: str) -> bool:
    """Say whether an address, or a name in a URL, is this machine and no other."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
