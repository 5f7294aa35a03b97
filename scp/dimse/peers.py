"""Which peers may associate, and which transfer syntaxes hilum accepts."""

import ipaddress
import socket
from collections.abc import Sequence

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

from scp.config.network import Peer

# PS3.5 Annex A; all that the decoders of inference.image.film read
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

# for what is asked and answered: whole in memory, so nothing there may be deflated
QUERY_SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def is_known(peers: Sequence[Peer], ae_title: str, address: str) -> bool:
    """Return whether a caller is one of the peers; without any peer, whether it is this machine."""
    if not peers:
        return ipaddress.ip_address(_plain(address)).is_loopback
    return bool(matching(peers, ae_title, address))


def matching(peers: Sequence[Peer], ae_title: str, address: str) -> list[Peer]:
    """Return the peers that a caller may be."""
    here = _plain(address)
    return [peer for peer in peers if peer.ae_title == ae_title and here in _addresses(peer.host)]


def is_known_address(peers: Sequence[Peer], address: str) -> bool:
    """Return whether a caller's address is that of a peer; without any peer, of this machine."""
    if not peers:
        return ipaddress.ip_address(_plain(address)).is_loopback
    return any(_plain(address) in _addresses(peer.host) for peer in peers)


def _addresses(host: str) -> set[str]:
    """Return a host's addresses; looked up each time, because names move."""
    try:
        return {_plain(str(info[4][0])) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # an unknown name, and one that cannot be one
        return set()


def _plain(address: str) -> str:
    """Return an address in the one form that compares.

    A socket for both families shows IPv4 callers as ``::ffff:192.0.2.1``.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
