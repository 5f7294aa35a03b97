"""Listening sockets: opened here, or by the supervisor."""

import socket
from dataclasses import dataclass

from scp.config.network import ReceiverSettings
from scp.errors import ServiceError

TLS_KEY = "receiver.tls"


@dataclass(frozen=True)
class ReceiverSockets:
    """Where the receiver listens: without TLS, with it, or both."""

    plain: socket.socket | None
    tls: socket.socket | None

    @property
    def all(self) -> tuple[socket.socket, ...]:
        """Those that there are."""
        return tuple(one for one in (self.plain, self.tls) if one is not None)

    def close(self) -> None:
        """Close them here; who inherited them listens on."""
        for one in self.all:
            one.close()

    def __str__(self) -> str:
        """Read as "127.0.0.1:11112 and 127.0.0.1:2762 (TLS)"."""
        where = [_address(self.plain)] if self.plain else []
        where += [f"{_address(self.tls)} (TLS)"] if self.tls else []
        return " and ".join(where)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{host}:{port}"


def receiver_sockets(
    settings: ReceiverSettings, plain_fd: int | None = None, tls_fd: int | None = None
) -> ReceiverSockets:
    """Return what the supervisor opened for the receiver, or sockets of our own.

    Raises `ServiceError` naming the configuration's key.
    """
    host, mode = settings.host, settings.tls.mode
    plain = tls = None
    if mode != "only":
        plain = listening_socket(host, settings.port, "receiver", plain_fd)
    if mode != "off":
        tls = listening_socket(host, settings.tls.port, TLS_KEY, tls_fd)
    return ReceiverSockets(plain, tls)


def open_socket(host: str, port: int, key: str) -> socket.socket:
    """Return a listening socket. Raises `ServiceError` naming the configuration's key."""
    try:
        return open_listener(host, port)
    except OSError as error:
        raise ServiceError(
            f"{host}:{port} cannot be listened on ({error.strerror}): stop what uses it"
            f" (is hilum running already?), or set [{key}] port"
        ) from error


def listening_socket(host: str, port: int, key: str, descriptor: int | None) -> socket.socket:
    """Return the socket that the supervisor has opened for us, or one of our own."""
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    return open_socket(host, port, key)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections queue from now on. Raises OSError.

    "::" listens on all addresses of both families.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server(address, family=family, backlog=128, dualstack_ipv6=both)
    # its connections inherit it; asyncio sets it only on sockets of its own, and a page that is
    # written in two parts would wait 40 ms for the browser's delayed acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
