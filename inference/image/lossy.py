"""Whether a film was compressed with loss, whatever its header says about it.

References
----------
PS3.3 C.7.6.1.1.5 (lossy image compression); PS3.5 8.2 and A.4 (what each transfer syntax may lose).
"""

from pydicom import uid
from pydicom.dataset import Dataset

from inference.image.codestream import declared, frame_of
from inference.image.header import items, number, numbers, text

# PS3.3 C.7.6.1.1.5.1: transfer syntaxes that may lose something, and those that may not; a stream
# with loss stands under the latter too
_METHODS = {
    uid.JPEGBaseline8Bit: "ISO_10918_1",
    uid.JPEGExtended12Bit: "ISO_10918_1",
    uid.JPEGLSNearLossless: "ISO_14495_1",
    uid.JPEG2000: "ISO_15444_1",
    uid.HTJ2K: "ISO_15444_15",
}
_OF_LOSSLESS = {
    uid.JPEGLossless: "ISO_10918_1",
    uid.JPEGLosslessSV1: "ISO_10918_1",
    uid.JPEGLSLossless: "ISO_14495_1",
    uid.JPEG2000Lossless: "ISO_15444_1",
    uid.HTJ2KLossless: "ISO_15444_15",
    uid.HTJ2KLosslessRPCL: "ISO_15444_15",
}
# no chest film was seen to be packed smaller than this without loss (ratio of stored bits)
_HIGHEST_LOSSLESS_RATIO = 10.0
_LOSSY_COMPRESSION = "113040"  # DCM, CID 7203


def state_lossy(ds: Dataset) -> None:
    """State in a header that the pixel data have lost something, where they say so and it does not.

    The header is changed in memory: what answers the film then carries the statement. Ratio and
    method are added where the header has none and this stream is the one that lost it.
    """
    if "PixelData" not in ds:
        return
    syntax = uid.UID(text(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID"))
    methods = _METHODS | _OF_LOSSLESS
    frame = frame_of(ds.PixelData) if syntax in methods else b""  # the others lose nothing
    ratio = _ratio(ds, frame)
    lost = bool(frame) and _lost(frame, syntax, ratio)
    if not (lost or _stated(ds)):
        return
    ds.LossyImageCompression = "01"
    if not lost:  # earlier, and this stream tells nothing of it
        return
    if not text(ds, "LossyImageCompressionMethod"):
        ds.LossyImageCompressionMethod = methods[syntax]
    if not numbers(ds, "LossyImageCompressionRatio"):
        ds.LossyImageCompressionRatio = f"{ratio:.2f}"


def _stated(ds: Dataset) -> bool:
    """Say whether any element of the header tells of loss, now or before."""
    codes = (text(item, "CodeValue") for item in items(ds, "DerivationCodeSequence"))
    return (
        text(ds, "LossyImageCompression").upper() in ("01", "1", "Y", "YES")
        or bool(text(ds, "LossyImageCompressionMethod"))
        or any(ratio > 1 for ratio in numbers(ds, "LossyImageCompressionRatio"))
        or _LOSSY_COMPRESSION in codes
    )


def _lost(frame: bytes, syntax: uid.UID, ratio: float) -> bool:
    """Say whether a frame was coded with loss: by its coding, else by its syntax and its size."""
    stream = declared(frame, syntax)
    if syntax in _OF_LOSSLESS:
        return stream is not None and not stream.lossless
    return stream is None or not stream.lossless or ratio > _HIGHEST_LOSSLESS_RATIO


def _ratio(ds: Dataset, frame: bytes) -> float:
    rows, columns, bits = (number(ds, one) or 0 for one in ("Rows", "Columns", "BitsStored"))
    return rows * columns * bits / 8 / max(len(frame), 1)
