"""Open pages that look again in the same moment share one answer, and no error."""

import asyncio
from types import SimpleNamespace

import pytest

from scp.dashboard.caches.shared_pages import RequestCoalescing
from scp.dashboard.security.person import AGAIN, LOCAL, LOOK


def looking_again():
    headers = [(LOOK.lower().encode(), AGAIN.encode()), (b"accept", b"text/html")]
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": headers,
        "state": {"person": LOCAL},
    }


@pytest.fixture
def dashboard():
    """The part of the dashboard that is asked: nothing ever changes."""
    return SimpleNamespace(
        change_detector=SimpleNamespace(newest=lambda: 1), settings=SimpleNamespace(refresh_s=600)
    )


def ask(pages):
    """Return what one reader is sent."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(pages(looking_again(), None, send))
    return sent


def answering(made, status=200):
    async def app(scope, receive, send):
        made.append(status)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": str(len(made)).encode()})

    return app


def test_of_two_that_look_again_one_page_is_made(dashboard):
    made = []
    pages = RequestCoalescing(answering(made), dashboard)
    assert ask(pages) == ask(pages)
    assert len(made) == 1


def test_an_error_is_its_own_readers_and_the_next_has_a_page(dashboard):
    made = []
    good = answering(made)

    async def app(*asked):
        if not made:
            made.append("broken")
            raise RuntimeError("the first reader's")
        await good(*asked)

    pages = RequestCoalescing(app, dashboard)
    with pytest.raises(RuntimeError, match="the first reader's"):
        ask(pages)
    assert ask(pages)[0]["status"] == 200


def test_a_page_that_is_no_good_is_not_kept(dashboard):
    made = []
    pages = RequestCoalescing(answering(made, status=503), dashboard)
    assert [ask(pages)[1]["body"], ask(pages)[1]["body"]] == [b"1", b"2"]
