"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint


class Access(StrEnum):
    """What a person may do: a viewer looks; an operator also retries, cancels and discards."""

    VIEWER = "viewer"
    OPERATOR = "operator"


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


def guard(app: FastAPI) -> None:
    """Let every request know who asks."""

    @app.middleware("http")
    async def known(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.person = LOCAL
        return await call_next(request)
