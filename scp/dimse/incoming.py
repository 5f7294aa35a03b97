"""Messages as they arrive, within limits: memory, disk, and time are the peer's only up to these.

::

    command set, identifier    in memory: too long, or too slow, ends the association
    data set of a C-STORE      in a file: too large, or no room, and the rest is read and let go;
                               the half file is deleted at once and the sender gets a status
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import IO, Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu_primitives import P_DATA

from scp.dimse.negotiation import MalformedPDU
from scp.errors import ArchiveFull, Refused, TooLarge

_COMMAND_BYTES = 1 << 16  # of a command set; real ones have some 200
_IDENTIFIER_BYTES = 1 << 22  # of what is asked or answered, which stays in memory
_LOOK_EVERY_BYTES = 1 << 22  # at the room that is left
_LEAST_BYTES_PER_S = 1000  # of a message that takes longer than the timeout


@dataclass(frozen=True)
class Limits:
    """What one object may take.

    Attributes
    ----------
    most_bytes
        Of its data set as it arrives.
    require_space
        Raises ArchiveFull or OSError where there is no room for objects.
    """

    most_bytes: int = 512_000_000
    require_space: Callable[[], None] = lambda: None


class IncomingFile:
    """The file of a data set that is arriving, until it is refused.

    Attributes
    ----------
    refusal
        Why nothing more is kept of it; None while it is kept.
    """

    def __init__(self, file: IO[bytes] | None, limits: Limits) -> None:
        self.name = "" if file is None else str(file.name)
        self.refusal: Refused | None = None
        self._file, self._limits = file, limits
        self._size = self._looked_at = 0
        self._attempt(limits.require_space)

    @property
    def file(self) -> "IncomingFile":
        """Itself: pynetdicom flushes what is behind a temporary file."""
        return self

    def write(self, data: bytes) -> None:
        """Append a piece, or let it go where the object was refused."""
        if self.refusal is None:
            self._attempt(lambda: self._append(data))

    def flush(self) -> None:
        """Do nothing: each piece is flushed as it is written, so that a full disk shows."""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # what it held back was refused with the rest
                self._file.close()

    def refuse(self, refusal: Refused) -> None:
        """Delete what came, and let go what comes."""
        self.refusal = refusal
        self.close()
        with suppress(OSError):
            Path(self.name).unlink()

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        self._size += len(data)
        if self._size > self._limits.most_bytes:
            raise TooLarge(
                f"the object has more than {self._limits.most_bytes // 1_000_000} MB: if it is a"
                " film, raise [receiver] max_object_mb"
            )
        if self._size - self._looked_at > _LOOK_EVERY_BYTES:
            self._looked_at = self._size
            self._limits.require_space()
        self._file.write(data)
        self._file.flush()

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Refused as refusal:
            self.refuse(refusal)
        except OSError as error:
            self.refuse(out_of_room(error))


class _IncomingBytes(BytesIO):
    """A data set that is kept in memory, until it is refused."""

    refusal: Refused | None = None
    _most_bytes = 0

    def limited(self, most_bytes: int) -> "_IncomingBytes":
        """Set how many bytes it may have; return itself."""
        self._most_bytes = most_bytes
        return self

    def write(self, data: Any) -> int:
        """Append a piece, or let it go where the object was refused."""
        if self.refusal is None and self.tell() + len(data) > self._most_bytes:
            self.refusal = TooLarge(f"it has more than {self._most_bytes // 1_000_000} MB")
            self.seek(0)
            self.truncate()
        return len(data) if self.refusal else super().write(data)


def _delete(file: Any) -> None:
    file.close()
    Path(file.name).unlink(missing_ok=True)


def out_of_room(error: OSError) -> ArchiveFull:
    """Return the refusal for a disk that does not take an object."""
    return ArchiveFull(f"the disk cannot take it ({error.strerror})")


def refusal_of(request: Any) -> Refused | None:
    """Return why the data set of a C-STORE was let go while it came; None where it was kept."""
    for kept in (request._dataset_file, request.DataSet):
        if isinstance(kept, IncomingFile | _IncomingBytes):
            return kept.refusal
    return None


class LimitedMessages(DIMSEServiceProvider):  # type: ignore[misc]
    """Receives messages of which none takes more memory, disk or time than it may."""

    message: Any  # of the dimse_messages, while it comes

    def __init__(self, assoc: Association, limits: Limits) -> None:
        super().__init__(assoc)
        self._limits = limits
        self._began = 0.0
        self._command_bytes = self._bytes = 0
        self._files: list[IncomingFile] = []

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take in the fragments of a P-DATA one by one. Raises MalformedPDU beyond the limits."""
        for value in primitive.presentation_data_value_list:
            single = P_DATA()
            single.presentation_data_value_list = [list(value)]
            self._count(value[1])
            try:
                super().receive_primitive(single)
            except OSError as error:  # there is no room for the file's beginning
                self._begin_without_room(error)
            else:
                self._begin()

    def discard_half(self) -> None:
        """Delete the file of a message that has not come whole."""
        message = self.message
        if message is not None and message._data_set_file is not None:
            _delete(message._data_set_file)

    def discard(self) -> None:
        """Delete every file that is left; for the end, when nobody takes any in."""
        self.discard_half()
        for file in self._files:
            _delete(file)

    def _count(self, fragment: bytes) -> None:
        """Raise MalformedPDU where a message goes on too long; a fragment has a control header."""
        now = monotonic()
        if self.message is None:
            self._began, self._command_bytes, self._bytes = now, 0, 0
        self._bytes += len(fragment)
        is_store = isinstance(self.message, C_STORE_RQ)
        if not fragment:
            raise MalformedPDU("a fragment of a message without its control header")
        if fragment[0] & 1:
            self._command_bytes += len(fragment)
        if self._command_bytes > _COMMAND_BYTES or (
            not is_store and self._bytes > _IDENTIFIER_BYTES
        ):
            raise MalformedPDU(f"a message of more than {self._bytes} bytes that is no C-STORE")
        took_s = now - self._began
        if took_s > (self.assoc.network_timeout or 60) and self._bytes < (
            took_s * _LEAST_BYTES_PER_S
        ):
            raise MalformedPDU(f"a message of {self._bytes} bytes in {took_s:.0f} s: too slow")

    def _begin(self) -> None:
        """Put the limits around where the data set of a C-STORE goes."""
        message = self.message
        if not isinstance(message, C_STORE_RQ):
            return
        file = message._data_set_file
        if file is not None and not isinstance(file, IncomingFile):
            message._data_set_file = IncomingFile(file, self._limits)
            waiting = [one for one in self._files if Path(one.name).exists()]
            self._files = [*waiting, message._data_set_file]
        elif file is None and not isinstance(message.data_set, _IncomingBytes):
            message.data_set = _IncomingBytes().limited(self._limits.most_bytes)

    def _begin_without_room(self, error: OSError) -> None:
        message = self.message
        file = IncomingFile(message._data_set_file, self._limits)
        file.refuse(out_of_room(error))
        message._data_set_file = file
