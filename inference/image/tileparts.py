"""Whether a JPEG 2000 codestream has all the bytes that its own markers count.

Decoders fill what is missing with what they like, and say nothing.

References
----------
ITU-T T.800 A.4.2 (SOT: Psot, TPsot, TNsot), A.4.4 (EOC), A.5.1 (SIZ), B.3 (number of tiles).
"""

from collections.abc import Iterator
from typing import NamedTuple

_START_OF_TILE_PART = b"\xff\x90"
_END = b"\xff\xd9"
_MOST_TILES = 65_535
_HEADER_BYTES = 14  # of a tile-part: SOT and SOD


def lacking(frame: bytes, siz: int, at: int) -> str:
    """Say what a codestream lacks: "" when it is whole.

    Parameters
    ----------
    siz
        Offset of the segment SIZ, after its marker.
    at
        Offset of the first tile-part.
    """
    seen: dict[int, int] = {}  # tile-parts, by tile
    counts: dict[int, int] = {}  # those stated, by tile
    for part in _tile_parts(frame, at):
        seen[part.tile] = seen.get(part.tile, 0) + 1
        counts[part.tile] = max(counts.get(part.tile, 0), part.of)
        at = part.end
    if at + 2 > len(frame):
        missing = at + 2 - len(frame)
        return f"the stream is cut short by {missing} byte{'s'[: missing > 1]}"
    if frame[at : at + 2] == _START_OF_TILE_PART:
        return "the stream is cut short: a tile-part breaks off"
    if frame[at : at + 2] != _END:
        return "the stream is damaged: a tile-part is shorter or longer than it states"
    tiles = _tiles(frame, siz)
    if len(seen) < tiles <= _MOST_TILES:
        return f"the stream is cut short: it has {len(seen)} of {tiles} tiles"
    incomplete = any(number < counts[tile] for tile, number in seen.items())
    return "the stream is cut short: tile-parts are missing" if incomplete else ""


def reaches_to_its_end(frame: bytes, at: int) -> bool:
    """Say whether the last tile-part states no length, so that only decoding can check it."""
    return any(part.length == 0 for part in _tile_parts(frame, at))


class _TilePart(NamedTuple):
    """A tile-part as its SOT states it, and where the next one begins."""

    tile: int
    length: int
    of: int
    end: int


def _tile_parts(frame: bytes, at: int) -> Iterator[_TilePart]:
    """Yield the tile-parts one after the other; one without a length (Psot = 0) is the last."""
    while frame[at : at + 2] == _START_OF_TILE_PART and at + 12 <= len(frame):
        tile, length = _number(frame, at + 4, 2), _number(frame, at + 6, 4)
        end = at + max(length, _HEADER_BYTES) if length else _end(frame, at)
        yield _TilePart(tile, length, frame[at + 11], end)
        if length == 0:
            return
        at = end


def _end(frame: bytes, at: int) -> int:
    """Return where the end marker is; the end of the bytes where there is none."""
    marker = frame.rfind(_END)
    return marker if marker > at else len(frame)


def _tiles(frame: bytes, siz: int) -> int:
    """Return the number of tiles: the area from the tiles' origin, in tiles."""
    right, lower, wide, high = (_number(frame, siz + n, 4) for n in (4, 8, 20, 24))
    left, upper = (_number(frame, siz + n, 4) for n in (28, 32))
    return -(-(right - left) // max(wide, 1)) * -(-(lower - upper) // max(high, 1))


def _number(frame: bytes, at: int, size: int) -> int:
    return int.from_bytes(frame[at : at + size], "big")
