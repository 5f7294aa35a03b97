"""Who may have how many associations at once, so that nobody keeps the others out.

::

    connected, no request yet    no slot; of one address at most `_HALF_OPEN`: the oldest is hung up
    a TLS handshake              the same, with `_HANDSHAKES`
    C-ECHO alone                 slots of their own
    all others                   `max_associations` in all, and one peer or host never all of them
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from scp.dimse.handshake import Handshake

_HALF_OPEN = 20
_HANDSHAKES = 100  # they take longer, and only a thread each
_ECHOES = 10


@dataclass(frozen=True)
class _Taken:
    association: Association
    address: str
    ae_title: str
    is_echo: bool


class Slots:
    """The associations of one process; safe from many threads.

    Parameters
    ----------
    at_most
        Associations for storage at once.
    at_most_each
        Of these, those of one AE title or one address.
    hang_up
        Ends an association that has not asked for anything yet.
    """

    def __init__(
        self, at_most: int, at_most_each: int, hang_up: Callable[[Association], None]
    ) -> None:
        self.at_most, self.at_most_each = at_most, at_most_each
        self._hang_up = hang_up
        self._lock = Lock()
        self._half_open: list[tuple[str, Association]] = []
        self._handshakes: list[tuple[str, Handshake]] = []
        self._taken: list[_Taken] = []

    @property
    def in_use(self) -> int:
        """How many associations for storage there are now."""
        with self._lock:
            return sum(not one.is_echo and one.association.is_alive() for one in self._taken)

    def begin(self, handshake: Handshake, address: str) -> None:
        """Note a handshake; hang up on the oldest of its address where there are too many."""
        with self._lock:
            self._handshakes = [one for one in self._handshakes if one[1].is_alive()]
            self._handshakes.append((address, handshake))
            same = [going_on for where, going_on in self._handshakes if where == address]
        for oldest in same[:-_HANDSHAKES]:
            oldest.hang_up()

    def hang_up_handshakes(self) -> None:
        """End all that go on."""
        with self._lock:
            going_on = [handshake for _, handshake in self._handshakes if handshake.is_alive()]
        for handshake in going_on:
            handshake.hang_up()

    def connect(self, association: Association, address: str) -> None:
        """Note a connection; hang up on the oldest of its address that has not asked yet."""
        with self._lock:
            if association.requestor.primitive is not None:  # it has asked meanwhile
                return
            self._half_open = [one for one in self._half_open if one[1].is_alive()]
            self._half_open.append((address, association))
            same = [waiting for where, waiting in self._half_open if where == address]
            too_many = same[:-_HALF_OPEN]
            self._half_open = [one for one in self._half_open if one[1] not in too_many]
        for oldest in too_many:
            self._hang_up(oldest)

    def take(self, association: Association, ae_title: str) -> str:
        """Give a slot to an association that asks for one; return why not, or "" if it has one."""
        request = association.requestor.primitive
        asked = {str(cx.abstract_syntax) for cx in request.presentation_context_definition_list}
        address = association.requestor.address
        is_echo = asked == {Verification}
        with self._lock:
            self._half_open = [one for one in self._half_open if one[1] is not association]
            self._taken = [one for one in self._taken if one.association.is_alive()]
            alike = [one for one in self._taken if one.is_echo == is_echo]
            same = [one for one in alike if address == one.address or ae_title == one.ae_title]
            in_all, each = (
                (_ECHOES, max(1, _ECHOES // 2)) if is_echo else (self.at_most, self.at_most_each)
            )
            if len(alike) >= in_all:
                return f"{in_all} at once in one process"
            if len(same) >= each:
                return f"{each} at once from one AE title or address in one process"
            self._taken.append(_Taken(association, address, ae_title, is_echo))
        return ""
