"""Who may associate with us, and which transfer syntaxes everybody may use."""

import ipaddress
import socket
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

# PS3.5 Annex A; all that the decoders of inference.film read
TRANSFER_SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
]


class Peer(BaseModel):
    """A system that may send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: str = Field(
        min_length=1, max_length=16, description="its AE title, as it calls itself"
    )
    host: str = Field(
        description="its address or host name; a connection from elsewhere is refused"
    )


def is_known(peers: Sequence[Peer], ae_title: str, address: str) -> bool:
    """Return whether a caller is one of the peers; without any peer, whether it is this machine."""
    if not peers:
        return ipaddress.ip_address(address).is_loopback
    return any(peer.ae_title == ae_title and address in _addresses(peer.host) for peer in peers)


def _addresses(host: str) -> set[str]:
    """Return a host's addresses; looked up each time, because names move."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
