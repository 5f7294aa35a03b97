"""Half requests hold no connection for long, and one address cannot take them all."""

import contextlib
import socket
from threading import Thread

import pytest
import uvicorn

from scp.processes.http_limits import LimitedProtocol

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = [
    b"",
    b"GET /healthz HTTP/1.1\r\nHost:",
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nname=",
    REQUEST + b"GET /healthz HTTP/1.1\r\n",
]


class QuickProtocol(LimitedProtocol):
    request_s = 0.5
    connections_of_one = 8


async def app(scope, receive, send):
    """Answer when the whole of a request is there."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"alive"})


@pytest.fixture
def port():
    config = uvicorn.Config(app, http=QuickProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)


def connect(port, address="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), 30, source_address=(address, 0))


def is_answered(port, address="127.0.0.1"):
    with connect(port, address) as client, contextlib.suppress(ConnectionError):
        client.sendall(REQUEST)
        return b"200 OK" in client.recv(1000)


def until_closed(client):
    """Return what a server sends before it closes a connection."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while more := client.recv(1000):
            got += more
    return got


@pytest.mark.parametrize("half", HALF)
def test_a_connection_with_half_a_request_is_closed(port, half):
    with connect(port) as client:
        client.sendall(half)
        answered = until_closed(client)
    assert (b"200 OK" in answered) == half.startswith(REQUEST)


def test_a_request_that_takes_long_to_come_but_comes_is_answered(port):
    with connect(port) as client:
        for byte in (REQUEST[i : i + 1] for i in range(len(REQUEST))):
            client.sendall(byte)
        assert b"200 OK" in client.recv(1000)


def test_one_address_with_all_its_connections_silences_no_other(port):
    with contextlib.ExitStack() as held:
        clients = [held.enter_context(connect(port)) for _ in range(30)]
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.sendall(HALF[1])
        assert is_answered(port, "127.0.0.2")
    assert any(is_answered(port) for _ in range(1000)), "when it lets go, it is heard again"
