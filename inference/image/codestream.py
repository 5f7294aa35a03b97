"""What an encoded frame's markers state, read without decoding it.

References
----------
ITU-T T.81 B.2.2 (JPEG), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 and A.6.1 (JPEG 2000: SIZ, COD).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.encaps import generate_fragments
from pydicom.uid import UID, RLELossless

from inference.image.tileparts import lacking, reaches_to_its_end

# start of frame: JPEG 0xC0 to 0xCF without DHT, JPG and DAC; JPEG-LS 0xF7
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_START_OF_SCAN = 0xDA
_NEEDED = _FRAMES | {0xC4, 0xDB, 0xDD}  # with the tables and the restart interval
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
JPEG_2000 = b"\xff\x4f\xff\x51"
END = b"\xff\xd9"  # of all these streams
NO_END = "the stream is cut short: it has no end"


@dataclass(frozen=True)
class Codestream:
    """What a codestream declares.

    Attributes
    ----------
    bits
        Precision of a sample.
    lossless
        Whether the kind of coding can lose nothing.
    ended
        Whether its last marker is there: a stream that was cut short has none.
    signed
        Whether its samples are (JPEG 2000).
    levels
        How often its picture was halved (JPEG 2000): it can be decoded at each of these sizes.
    components
        Samples of a pixel.
    coding
        What it is: "JPEG", "JPEG Lossless", "JPEG-LS" or "JPEG 2000".
    lack
        What is missing by its own counts (JPEG 2000) or at its end (JPEG-LS); "" where nothing is.
    counted
        Whether it counts its bytes; of others, only decoding shows that all are there.
    """

    rows: int
    columns: int
    bits: int
    lossless: bool
    ended: bool
    signed: bool = False
    levels: int = 0
    components: int = 1
    coding: str = "JPEG"
    lack: str = ""
    counted: bool = False

    @property
    def sample_bytes(self) -> int:
        """Bytes of a decoded sample."""
        return 1 if self.bits <= 8 else 2

    def halved(self, levels: int) -> tuple[int, int]:
        """Return rows and columns after so many halvings (T.800 F.2)."""
        return -(-self.rows >> levels), -(-self.columns >> levels)


def frame_of(pixel_data: bytes) -> bytes:
    """Return the one frame of encapsulated pixel data: all fragments, whatever the table says.

    The Basic Offset Table may be wrong, have an entry for each fragment, or one too many; an
    object of one frame has no use for it (PS3.5 A.4).
    """
    fragments = list(generate_fragments(pixel_data))[1:]  # the first item is the table
    return b"".join(fragments)


def declared(frame: bytes, syntax: UID) -> Codestream | None:
    """Return what a frame declares; None where it has no markers (RLE) or they cannot be read."""
    if syntax == RLELossless:
        return None
    try:
        start = frame.find(JPEG_2000)
        return _jpeg_2000(frame, start) if start >= 0 else _jpeg(frame)
    except IndexError:
        return None


def without_remarks(frame: bytes) -> bytes:
    """Return a JPEG frame without application and comment segments, which no decoding needs.

    gdcm ends the whole process over a JFIF version that it does not know.
    """
    stripped = bytearray(frame[:2])
    try:
        for marker, at in _segments(frame):
            if marker == _START_OF_SCAN:
                return bytes(stripped) + frame[at:]
            if marker in _NEEDED:
                stripped += frame[at : at + 2 + _word(frame, at + 2)]
    except IndexError:
        pass
    return frame


def _jpeg(frame: bytes) -> Codestream | None:
    """Walk the segments up to the first scan."""
    size, kind = None, 0
    for marker, at in _segments(frame):
        if marker in _FRAMES:
            kind, size = marker, (_word(frame, at + 5), _word(frame, at + 7), frame[at + 4])
            components = frame[at + 9]
        if marker == _START_OF_SCAN and size is not None:
            near = frame[at + 5 + 2 * frame[at + 4]]  # T.87: the error that is allowed
            lossless = near == 0 if kind == 0xF7 else kind in _LOSSLESS_FRAMES
            coding = "JPEG Lossless" if kind in _LOSSLESS_FRAMES else "JPEG"
            return Codestream(
                *size,
                lossless,
                END in frame[-16:],
                components=components,
                coding="JPEG-LS" if kind == 0xF7 else coding,
                # its data hold no marker (T.87 A.1); without an end its decoder searches for 5 s
                lack=NO_END if kind == 0xF7 and END not in frame[at:] else "",
                counted=kind == 0xF7,  # its decoder is strict
            )
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and offset of each segment up to the first scan's; raises IndexError."""
    at = 2
    while frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        at += 2 + _word(frame, at + 2)


def _jpeg_2000(frame: bytes, start: int) -> Codestream | None:
    """Read SIZ, and of COD the levels and which wavelet there is: the one of 9-7 taps loses."""
    siz = at = start + 4
    columns = _long(frame, siz + 4) - _long(frame, siz + 12)
    rows = _long(frame, siz + 8) - _long(frame, siz + 16)
    bits, signed = (frame[siz + 38] & 0x7F) + 1, bool(frame[siz + 38] & 0x80)
    at += _word(frame, siz)
    style = None
    while frame[at] == 0xFF and frame[at + 1] != 0x90:  # the first tile part
        if frame[at + 1] == 0x52:
            style = at
        at += 2 + _word(frame, at + 2)
    if style is None:
        return None
    return Codestream(
        rows,
        columns,
        bits,
        frame[style + 13] == 1,
        END in frame[-16:],
        signed,
        frame[style + 9],
        components=_word(frame, siz + 36),
        coding="JPEG 2000",
        lack=lacking(frame, siz, at),
        counted=not reaches_to_its_end(frame, at),
    )


def with_rubbish_at_its_end(frame: bytes, stream: Codestream) -> bytes:
    """Return a stream with bytes before its end marker that a whole one has no use for.

    Decoders put zeros, or grey, where the data of a stream end before its picture does. So these
    bytes change the picture of a stream that is cut short, and of no other. JPEG 2000 skips a
    block that is not whole: there they are as many as the picture has. In JPEG Lossless one is
    enough, and gdcm writes a line to stderr for those that it leaves unread.
    """
    pairs = {"JPEG 2000": stream.rows * stream.columns, "JPEG Lossless": 1}.get(stream.coding, 32)
    end = frame.rfind(END)
    body = (frame[:end] if end >= 0 else frame).rstrip(b"\xff")
    return body + b"\xaa\x55" * pairs + _next_interval(body) + END


def _next_interval(body: bytes) -> bytes:
    """Return the restart interval that would follow (T.81 B.2.1); b"" where a JPEG has none."""
    scan = body.rfind(b"\xff\xda")
    if body.startswith(JPEG_2000[:2]) or body.find(b"\xff\xdd", 0, max(scan, 0)) < 0:
        return b""
    at, last = max((body.rfind(bytes((0xFF, 0xD0 + n)), scan), n) for n in range(8))
    return bytes((0xFF, 0xD0 + ((last + 1) % 8 if at >= 0 else 0))) + b"\xaa\x55" * 32


def _word(frame: bytes, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def _long(frame: bytes, at: int) -> int:
    return _word(frame, at) << 16 | _word(frame, at + 2)
