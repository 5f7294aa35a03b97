"""A query of the worklist as an address states it: a search, and a place in the list."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query
from pydantic import BeforeValidator

from inference.findings import LABELS, Change
from scp.dashboard.context import AppContext
from scp.index.schema.tables import FilmState
from scp.index.worklist.query import InvalidQuery, Key, Order, WorklistQuery, parse_terms

# a form sends its empty fields too
_EMPTY = BeforeValidator(lambda value: None if value == "" else value)


@dataclass(frozen=True)
class WorklistParams:
    """A search as it is in the address."""

    q: Annotated[str, Query(max_length=200, description="beginnings of words")] = ""
    received_from: Annotated[date | None, _EMPTY, Query(alias="from")] = None
    received_to: Annotated[date | None, _EMPTY, Query(alias="to")] = None
    finding: str = ""
    change: Annotated[Change | None, _EMPTY, Query()] = None
    state: Annotated[FilmState | None, _EMPTY, Query()] = None
    dead_letters: bool = False
    order: Order = Order.NEWEST
    after: str = ""

    def query(self, context: AppContext) -> WorklistQuery:
        """Return what is wanted; days are those of the site's time zone.

        Raises
        ------
        InvalidQuery
            It cannot be looked for.
        """
        if self.finding and self.finding not in LABELS:
            raise InvalidQuery(f"finding: {self.finding} is none; they are {', '.join(LABELS)}")
        if self.received_from and self.received_to and self.received_from > self.received_to:
            raise InvalidQuery("The dates are in the wrong order: the first is after the last")
        since = _midnight(self.received_from, context.zone)
        if self.order is Order.URGENT:
            newest = context.clock() - timedelta(hours=context.worklist.urgent_h)
            since = newest if since is None else max(since, newest)
        return WorklistQuery(
            words=parse_terms(self.q),
            received_from=since,
            received_before=_midnight(self.received_to, context.zone, 1),
            finding=self.finding,
            change=self.change,
            state=self.state,
            dead_letters=self.dead_letters,
            order=self.order,
        )

    def key(self) -> Key | None:
        """Return behind which film to begin."""
        return Key.of(self.after, self.order) if self.after else None

    def filters(self) -> bool:
        """Say whether anything is left out."""
        return bool(self._filters())

    def address(self, path: str = "/", **other: object) -> str:
        """Return the address of this search, with some of it other; from its first page on."""
        order = {} if self.order is Order.NEWEST else {"order": self.order}
        params = {**self._filters(), **order, **other}
        query = urlencode({key: value for key, value in params.items() if value})
        return f"{path}?{query}" if query else path

    def _filters(self) -> dict[str, object]:
        params = {
            "q": self.q.strip(),
            "from": self.received_from,
            "to": self.received_to,
            "finding": self.finding,
            "change": self.change,
            "state": self.state,
            "dead_letters": "true" if self.dead_letters else "",
        }
        return {key: value for key, value in params.items() if value}


def _midnight(day: date | None, zone: tzinfo | None, days_later: int = 0) -> datetime | None:
    """Return when a day began in a zone; None is the server's own."""
    if day is None:
        return None
    try:
        began = datetime.combine(day + timedelta(days=days_later), time())
        return began.replace(tzinfo=zone) if zone else began.astimezone()
    except (OverflowError, ValueError):
        raise InvalidQuery(f"The year {day.year} is not in this list") from None
