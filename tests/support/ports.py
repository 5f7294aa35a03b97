"""Ports for peers that cannot choose one themselves."""

import socket
from contextlib import suppress
from random import SystemRandom

# below those that the system gives to connections (32768 and above): none takes it meanwhile
_LOWEST, _HIGHEST = 10_000, 32_000


def free_port() -> int:
    """Return a port that was free a moment ago."""
    while True:
        port = SystemRandom().randrange(_LOWEST, _HIGHEST)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
