"""Who makes a request, and what they may do."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from scp.index.accounts.tables import Access

# what static/live.js sends when a page looks again by itself: nobody does anything then
LOOK = "X-Hilum-Look"
AGAIN = "again"


@dataclass(frozen=True)
class Person:
    """Who asks. On loopback, where nobody logs in, everybody is ``LOCAL``."""

    name: str
    access: Access


LOCAL = Person("local", Access.OPERATOR)


class NotAllowed(Exception):
    """A person asks for what they may not do; the text says who may."""


def person_of(request: Request) -> Person:
    """Return who asks."""
    person: Person = request.state.person
    return person


def operator_of(request: Request) -> Person:
    """Return who asks, an operator.

    Raises
    ------
    NotAllowed
        It is a viewer.
    """
    person = person_of(request)
    if person.access is not Access.OPERATOR:
        raise NotAllowed("Only an operator may do this. Ask one, or log in as one.")
    return person


# for routes: `def retry(operator: Operator) -> Response`
Viewer = Annotated[Person, Depends(person_of)]


Operator = Annotated[Person, Depends(operator_of)]


def looks_again(request: Request) -> bool:
    """Say whether an open page renews itself."""
    return request.headers.get(LOOK) == AGAIN


def by_itself(request: Request) -> bool:
    """Say whether a page asks, and not its person."""
    return looks_again(request) or "text/event-stream" in request.headers.get("accept", "")
