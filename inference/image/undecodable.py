"""Why no decoder could read a film, as far as its header and its markers tell."""

from collections.abc import Iterator

from pydicom import uid
from pydicom.dataset import Dataset

from inference.image.codestream import NO_END, Codestream

_CODINGS = {
    uid.JPEGBaseline8Bit: "JPEG",
    uid.JPEGExtended12Bit: "JPEG",
    uid.JPEGLossless: "JPEG Lossless",
    uid.JPEGLosslessSV1: "JPEG Lossless",
    uid.JPEGLSLossless: "JPEG-LS",
    uid.JPEGLSNearLossless: "JPEG-LS",
}  # all others: JPEG 2000


class NotAFilm(ValueError):
    """The object cannot be decoded to one grey image; the text says why, naming no patient."""


def undecodable(syntax: uid.UID, why: str) -> NotAFilm:
    """Return the error that says why a frame of a transfer syntax cannot be decoded."""
    return NotAFilm(f"The pixel data ({syntax.name}) cannot be decoded: {why}.")


def why_undecodable(frame: Dataset, stream: Codestream | None, installed: list[str]) -> str:
    """Return the reason, without a patient's data and without a decoder's own words."""
    syntax = frame.file_meta.TransferSyntaxUID
    if syntax == uid.JPEGExtended12Bit and "pylibjpeg" not in installed and _bits(stream) > 8:
        return (
            f"{_bits(stream)} bits a sample need a decoder that is not installed; "
            "hilum's extra jpeg-extended brings one"
        )
    if not installed:
        return "its decoder is not installed"
    if stream is None and syntax == uid.RLELossless:
        return "the stream is damaged or cut short"
    if stream is None:
        return "the stream has no readable header" if syntax.is_encapsulated else "they are damaged"
    return next(_contradictions(frame, stream), "the stream is damaged")


def _contradictions(frame: Dataset, stream: Codestream) -> Iterator[str]:
    """Yield what header and stream say differently."""
    meant = _CODINGS.get(frame.file_meta.TransferSyntaxUID, "JPEG 2000")
    if stream.coding != meant:
        yield f"the stream is {stream.coding}, the transfer syntax says {meant}"
    if stream.components != frame.SamplesPerPixel:
        header = f"the header says {frame.SamplesPerPixel}"
        yield f"the stream has {stream.components} samples a pixel, {header}"
    if not stream.ended:
        yield NO_END
    if (stream.bits <= 8) != (frame.BitsAllocated == 8):
        header = f"the header allots {frame.BitsAllocated}"
        yield f"the stream has {stream.bits} bits a sample, {header}"


def _bits(stream: Codestream | None) -> int:
    return stream.bits if stream else 0
