"""Listening sockets: of our own, or opened by the supervisor."""

import socket

from scp.errors import ServiceError


def open_socket(host: str, port: int, key: str) -> socket.socket:
    """Return a listening socket. Raises `ServiceError` naming the configuration's key."""
    from scp.dimse.receiver import open_listener  # noqa: PLC0415

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
