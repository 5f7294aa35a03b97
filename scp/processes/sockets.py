"""Listening sockets: opened here, or by the supervisor."""

import socket

from scp.errors import ServiceError


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
