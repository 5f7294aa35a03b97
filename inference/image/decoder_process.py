"""A decoder process: it decodes frames for the process that started it, and may die of them.

    python -m inference.image.decoder_process

It reads requests from standard input and writes one reply to each, until the input ends. A message
is the lengths of its two parts, a header in JSON, and bytes (a codestream; pixels). Not pickle: a
stream that takes a decoder over must not get any further.
"""

import json
import os
import resource
import signal
import struct
from collections.abc import Sequence
from io import BufferedReader, BufferedWriter
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from inference.image.codecs import decode
from inference.image.undecodable import NotAFilm, undecodable

# a film of 75 megapixels needs a third of it; address space, so libraries count too
MEMORY_BYTES = 4 << 30
_DESCRIBES_PIXELS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "PhotometricInterpretation",
)
_LENGTHS = struct.Struct("<IQ")
_LONGEST_HEADER = 1 << 16

Message = tuple[dict[str, Any], bytearray]


def send(stream: BufferedWriter, header: dict[str, Any], *parts: Any) -> None:
    """Write a message; ``parts`` are bytes, or arrays as they lie in memory."""
    coded = json.dumps(header).encode()
    views = [memoryview(part).cast("B") for part in parts]
    stream.write(_LENGTHS.pack(len(coded), sum(map(len, views))) + coded)
    for view in views:
        stream.write(view)
    stream.flush()


def receive(stream: BufferedReader, longest: int) -> Message | None:
    """Read a message; None when there is none, or not all of it.

    Raises
    ------
    ValueError
        It is no message, or its bytes are more than ``longest``.
    """
    lengths = _exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    header_length, length = _LENGTHS.unpack(lengths)
    if header_length > _LONGEST_HEADER or length > longest:
        raise ValueError("a message longer than any that is sent")
    header, content = _exactly(stream, header_length), _exactly(stream, length)
    return None if header is None or content is None else (json.loads(header), content)


def _exactly(stream: BufferedReader, length: int) -> bytearray | None:
    content = bytearray(length)
    return content if stream.readinto(content) == length else None


def request(frame: Dataset, levels: int, seconds: int) -> dict[str, Any]:
    """Return the header of a request: decode this frame, within so much computing."""
    described = {keyword: frame[keyword].value for keyword in _DESCRIBES_PIXELS if keyword in frame}
    syntax = frame.file_meta.TransferSyntaxUID
    return {"frame": described, "syntax": syntax, "levels": levels, "seconds": seconds}


def reply_to(header: dict[str, Any], coded: bytes) -> tuple[dict[str, Any], Sequence[Any]]:
    """Decode what a request asks for; return the header and the parts of the reply."""
    frame = Dataset()
    for keyword, value in header["frame"].items():
        setattr(frame, keyword, value)
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = syntax = UID(header["syntax"])
    try:
        pixels = np.ascontiguousarray(decode(frame, coded, header["levels"]))
    except NotAFilm as error:
        return {"refused": str(error)}, ()
    except MemoryError:
        why = f"that takes more than {MEMORY_BYTES >> 30} GiB of memory"
        return {"refused": str(undecodable(syntax, why))}, ()
    return {"shape": pixels.shape, "dtype": pixels.dtype.str}, (pixels,)


def main() -> None:
    """Answer requests until the input ends."""
    for end in (signal.SIGINT, signal.SIGTERM):  # the end of the input is the sign to stop
        signal.signal(end, signal.SIG_IGN)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for used in (0, 1):  # decoders write what they like; a name may be in it
        os.dup2(nowhere, used)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    while message := receive(requests, MEMORY_BYTES):
        header, coded = message
        _limit_computing(header["seconds"])
        answer, parts = reply_to(header, bytes(coded))
        send(replies, answer, *parts)


def _limit_computing(seconds: int) -> None:
    """End this process by SIGXCPU when it has computed for so many seconds more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


if __name__ == "__main__":
    main()
