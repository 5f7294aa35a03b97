"""Association requests and acceptances as real peers send them, made readable.

pynetdicom reads what PS3.8 9.3 demands and gives up on anything else. What DCMTK and Orthanc put up
with is put right here, byte by byte, before it is read; each oddity is named so that it can be
logged. What cannot be put right is a `MalformedPDU`.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pynetdicom.pdu_items import PDU_ITEM_TYPES

from scp.errors import HilumError

A_ASSOCIATE_RQ, A_ASSOCIATE_AC = 0x01, 0x02
_HEADER = 74  # bytes before the variable items (PS3.8 9.3.2 and 9.3.3)
_CALLED, _CALLING = slice(10, 26), slice(26, 42)
_APPLICATION_CONTEXT, _USER_INFORMATION = 0x10, 0x50
_CONTEXT = {A_ASSOCIATE_RQ: 0x20, A_ASSOCIATE_AC: 0x21}
_MAXIMUM_LENGTH, _CLASS_UID, _VERSION_NAME = 0x51, 0x52, 0x55
_USER_ITEMS = range(0x51, 0x5A)  # PS3.7 D.3.3; all others are ignored (PS3.8 9.3.1)
_ABSTRACT_SYNTAX = 0x30
_DICOM_CONTEXT = b"1.2.840.10008.3.1.1.1"  # the only application context (PS3.7 A.2.1)
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")  # of a component (PS3.5 9.1)
_UID_LENGTH, _NAME_LENGTH = 64, 16
# without a Maximum Length there is no limit (PS3.8 D.1); this is what everybody can take
_USUAL_LENGTH, _LEAST_LENGTH = 16384, 128


class MalformedPDU(HilumError):
    """A PDU that cannot be read however kindly it is looked at."""


@dataclass
class Negotiation:
    """A request or an acceptance that pynetdicom reads.

    Attributes
    ----------
    data
        The PDU.
    oddities
        What was put right, in words; no value of the peer's is quoted but AE titles' own.
    context_ids
        Presentation context IDs as the peer numbers them -> the odd ones used within.
    """

    data: bytes = b""
    oddities: list[str] = field(default_factory=list)
    context_ids: dict[int, int] = field(default_factory=dict)


def titles(data: bytes) -> tuple[str, str]:
    """Return the called and the calling AE title of a request, safe to log; "" where empty."""
    return ae_title(data[_CALLED]), ae_title(data[_CALLING])


def ae_title(value: bytes) -> str:
    """Return an AE title without its padding: spaces, NUL, control and non-ASCII characters.

    Within the title, what cannot be part of one (PS3.5 6.2) becomes a question mark.
    """
    text = value.partition(b"\0")[0].decode("latin-1")
    printable = "".join(c if " " <= c <= "~" and c != "\\" else "\0" for c in text)
    return printable.strip(" \0").replace("\0", "?")


def read_negotiation(data: bytes) -> Negotiation:
    """Put an A-ASSOCIATE-RQ or -AC right.

    Raises
    ------
    MalformedPDU
        Its items do not fit into it, or what the association needs is missing.
    """
    if len(data) < _HEADER:
        raise MalformedPDU("it ends before its items")
    made = Negotiation()
    head = _header(made, data)
    seen = list(_items(data[_HEADER:]))
    body = b"".join(_variable_items(made, data[0], seen))
    kinds = {kind for kind, _ in seen}
    if data[0] == A_ASSOCIATE_AC and _CONTEXT[A_ASSOCIATE_AC] not in kinds:
        raise MalformedPDU("it answers no presentation context")  # PS3.8 Table 9-17: each
    if _APPLICATION_CONTEXT not in kinds:
        made.oddities.append("no application context")
    if _USER_INFORMATION not in kinds:
        made.oddities.append("no user information")
        body += _item(_USER_INFORMATION, _user_information(made, b""))
    made.data = struct.pack(">BxL", data[0], len(head) + len(body)) + head + body
    return made


def _header(made: Negotiation, data: bytes) -> bytes:
    """Return the fixed fields, without type and length of the PDU."""
    (version,) = struct.unpack(">H", data[6:8])
    if data[0] == A_ASSOCIATE_RQ and not version & 1:  # pynetdicom would reject it, and tell nobody
        raise MalformedPDU(f"protocol version {version} is not version 1")
    if version != 1 and version & 1:  # bit 0 is version 1; only it is to be tested
        made.oddities.append("protocol version with more bits than version 1")
        version = 1
    if data[0] == A_ASSOCIATE_AC:  # its titles are not to be tested (PS3.8 9.3.3)
        names = b"?".ljust(_NAME_LENGTH) * 2
    else:
        names = b"".join(_title(made, name, data[at]) for name, at in _TITLES)
    return struct.pack(">H2x", version) + names + bytes(32)


_TITLES = (("called", _CALLED), ("calling", _CALLING))


def _title(made: Negotiation, name: str, value: bytes) -> bytes:
    title = ae_title(value)
    if value.strip(b" ") != title.encode("ascii"):
        made.oddities.append(f"{name} AE title with characters that are none of it")
    return (title or "?").encode("ascii").ljust(_NAME_LENGTH)


def _variable_items(made: Negotiation, pdu: int, seen: list[tuple[int, bytes]]) -> Iterator[bytes]:
    numbers = [body[0] for kind, body in seen if kind == _CONTEXT[pdu] and body]
    free = iter(sorted(set(range(1, 256, 2)) - set(numbers)))
    for kind, body in seen:
        if kind == _APPLICATION_CONTEXT:
            name = _uid(made, body)
            if name != _DICOM_CONTEXT:
                made.oddities.append("another application context than DICOM's")
            yield _item(kind, name)
        elif kind == _CONTEXT[pdu]:
            yield _item(kind, _context(made, pdu, body, free))
        elif kind == _USER_INFORMATION:
            yield _item(kind, _user_information(made, body))
        else:
            made.oddities.append(f"unknown item 0x{kind:02X}")


def _context(made: Negotiation, pdu: int, body: bytes, free: Iterator[int]) -> bytes:
    """Return a presentation context under an odd ID, with its UIDs as they should be."""
    if len(body) < 4:
        raise MalformedPDU("a presentation context is cut short")
    number = body[0]
    if number % 2 == 0:
        made.oddities.append("even presentation context ID")
        number = made.context_ids.get(body[0]) or next(free, 0)
        if not number:
            raise MalformedPDU("more presentation contexts than there may be")
    made.context_ids[body[0]] = number
    syntaxes = [(kind, _uid(made, value, kind)) for kind, value in _items(body[4:])]
    kinds = {kind for kind, value in syntaxes if value}
    if pdu == A_ASSOCIATE_RQ and not {0x30, 0x40} <= kinds:
        raise MalformedPDU("a presentation context without its syntaxes")
    named = b"".join(
        _item(kind, value) for kind, value in syntaxes if kind in (0x30, 0x40) and value
    )
    return bytes([number]) + body[1:4] + named


def _user_information(made: Negotiation, body: bytes) -> bytes:
    items = [_item(kind, _user_item(made, kind, value)) for kind, value in _items(body)]
    readable = [item for item in items if _is_readable(made, item)]
    if _MAXIMUM_LENGTH not in {item[0] for item in readable}:
        made.oddities.append("no Maximum Length")
        readable.append(_item(_MAXIMUM_LENGTH, struct.pack(">L", _USUAL_LENGTH)))
    return b"".join(readable)


def _user_item(made: Negotiation, kind: int, value: bytes) -> bytes:
    if kind == _MAXIMUM_LENGTH and len(value) == 4:
        (length,) = struct.unpack(">L", value)
        if 0 < length < _LEAST_LENGTH:
            made.oddities.append(f"Maximum Length {length} read as {_LEAST_LENGTH}")
        return struct.pack(">L", max(length, _LEAST_LENGTH) if length else 0)
    if kind == _CLASS_UID:
        return _uid(made, value)
    if kind == _VERSION_NAME:
        name = ae_title(value[:_NAME_LENGTH]).encode("ascii")
        if name != value.strip(b" "):
            made.oddities.append("implementation version name too long or not ASCII")
        return name
    return value


def _is_readable(made: Negotiation, item: bytes) -> bool:
    """Say whether pynetdicom reads an item of the user information; unknown ones are ignored."""
    try:
        if item[0] in _USER_ITEMS and len(item) > 4:
            read = PDU_ITEM_TYPES[item[0]]()
            read.decode(item)
            read.to_primitive()
            return True
    except Exception:  # whatever it is, the association does without this item
        pass
    made.oddities.append(f"user information item 0x{item[0]:02X} ignored")
    return False


def _uid(made: Negotiation, value: bytes, kind: int = 0) -> bytes:
    """Return a UID without padding; one that is none stays one that nobody supports."""
    uid = "".join(
        c if c.isascii() and c.isprintable() else "?" for c in value.strip(b" \0").decode("latin-1")
    )[:_UID_LENGTH]
    if uid.encode("ascii") != value:
        padded = uid.encode("ascii") == value.strip(b" \0")
        made.oddities.append("UID with padding" if padded else "UID that is none")
    if kind == _ABSTRACT_SYNTAX and _LEADING_ZEROS.search(uid):
        made.oddities.append("UID with leading zeros")
        uid = _LEADING_ZEROS.sub("", uid)
    return uid.encode("ascii")


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item; padding with NUL at the end is none."""
    offset = 0
    while data[offset:].strip(b"\0"):
        if len(data) < offset + 4:
            raise MalformedPDU("an item is cut short")
        kind, length = struct.unpack(">BxH", data[offset : offset + 4])
        value = data[offset + 4 : offset + 4 + length]
        if len(value) < length:
            raise MalformedPDU("an item is longer than what holds it")
        yield kind, value
        offset += 4 + length


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def renumbered(data: bytes, numbers: dict[int, int]) -> bytes:
    """Return a P-DATA-TF whose values are in other presentation contexts (PS3.8 9.3.5)."""
    if all(number == other for number, other in numbers.items()):
        return data
    changed, offset = bytearray(data), 6
    while offset + 5 <= len(changed):
        changed[offset + 4] = numbers.get(changed[offset + 4], changed[offset + 4])
        offset += 4 + int.from_bytes(changed[offset : offset + 4], "big")
    return bytes(changed)


def renumbered_answer(data: bytes, numbers: dict[int, int]) -> bytes:
    """Return an A-ASSOCIATE-AC for presentation contexts as the peer numbers them."""
    changed, offset = bytearray(data), 74
    while offset + 5 <= len(changed):
        if changed[offset] == 0x21:
            changed[offset + 4] = numbers.get(changed[offset + 4], changed[offset + 4])
        offset += 4 + int.from_bytes(changed[offset + 2 : offset + 4], "big")
    return bytes(changed)
