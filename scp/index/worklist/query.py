"""A query of the worklist, and the key at which a page of it ends."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from inference.findings import Change
from scp.index.schema.tables import FilmState
from scp.matching.folding import is_short, words

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOKEN = re.compile(rb"([nu])(-?\d{1,18})\.(\d{1,10})")
LARGEST_ID = 2**31 - 1
_MOST_WORDS = 8


class InvalidQuery(ValueError):
    """What is wanted cannot be looked for; the text says why, and what can."""


class Order(StrEnum):
    """Newest received first, or what should be seen soonest first."""

    NEWEST = "newest"
    URGENT = "urgent"


@dataclass(frozen=True)
class WorklistQuery:
    """Which films, and in which order. Every condition must hold.

    Attributes
    ----------
    words
        Folded beginnings of words of name, Patient ID or accession number: `parse_terms`.
    received_from, received_before
        When films came. Not when they were taken: the list is in the order of arrival, so that
        this cuts a part out of it, and a sender's clock may be wrong.
    finding, change
        A label, positive unless ``change`` is given; and what became of it, or of any finding.
    """

    words: tuple[str, ...] = ()
    received_from: datetime | None = None
    received_before: datetime | None = None
    finding: str = ""
    change: Change | None = None
    state: FilmState | None = None
    dead_letters: bool = False
    order: Order = Order.NEWEST


@dataclass(frozen=True)
class Key:
    """The last film of a page: its position in the order. The next page begins after it."""

    order: Order
    at: datetime
    film_id: int

    def token(self) -> str:
        """Return it for an address: short, and of no meaning to anybody else."""
        text = f"{self.order[0]}{(self.at - _EPOCH) // _MICROSECOND}.{self.film_id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, token: str, order: Order) -> "Key":
        """Read it from an address.

        Raises
        ------
        Unclear
            hilum never made it, or for another order.
        """
        unclear = InvalidQuery("after: not a position in this list. Start from the first page")
        try:
            text = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            match = _TOKEN.fullmatch(text)
            if match is None or match[1].decode() != order[0]:
                raise unclear
            at = _EPOCH + int(match[2]) * _MICROSECOND
        except (binascii.Error, ValueError, OverflowError):
            raise unclear from None
        film_id = int(match[3])
        if film_id > LARGEST_ID:
            raise unclear
        return cls(order, at, film_id)


def parse_terms(text: str) -> tuple[str, ...]:
    """Return the folded words of what a reader typed.

    Raises
    ------
    InvalidQuery
        There is nothing in it to look for, or too much.
    """
    found = tuple(dict.fromkeys(words(text)))
    if text.strip() and not found:
        raise InvalidQuery(
            "The search has neither a letter nor a digit: type a part of a name or number"
        )
    if len(found) == 1 and is_short(found[0]):
        raise InvalidQuery("One letter or digit is too little to search by: type at least two")
    if len(found) > _MOST_WORDS:
        raise InvalidQuery(f"The search has more than {_MOST_WORDS} words: type fewer")
    return found
