"""What reading a film costs beyond the bare decoding of its pixels.

    python tests/benchmarks/reading.py            # a small film, seconds
    python tests/benchmarks/reading.py --full     # 2048 x 2500

Prints, for each transfer syntax, milliseconds of the bare decoding and of `read_film`, and their
ratio within this run. Then, of JPEG 2000, what part of the whole film's time one takes that is only
compared and so decoded at a part of its size; of JPEG what the check costs that all data are there,
in bare decodings of the same decoder; and what a decoder process costs. Times depend on the machine
and its load; compare ratios.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from inference.comparison.alignment import COMPARED_PX
from inference.image.codecs import DECODERS, decode
from inference.image.codestream import frame_of
from inference.image.decoder_pool import decode_apart
from inference.image.decoding import stored_pixels
from inference.image.film import read_film

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from films import make_film_ds
from syntaxes import encoded

SYNTAXES = (
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)


def best_ms(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def share_when_compared(ds: Dataset, repeats: int) -> tuple[int, float]:
    """Return how often a compared film is halved, and its part of the time of the whole film."""
    whole = best_ms(lambda: stored_pixels(ds), repeats)
    part = best_ms(lambda: stored_pixels(ds, COMPARED_PX), repeats)
    (rows, _), (fewer, _) = (stored_pixels(ds, n)[0].shape for n in (0, COMPARED_PX))
    return (rows // fewer).bit_length() - 1, part / whole


def cost_of_the_check(ds: Dataset, repeats: int) -> float:
    """Return how many bare decodings the reading of a JPEG takes beyond the first."""
    plugin = DECODERS[ds.file_meta.TransferSyntaxUID][0]
    bare = best_ms(lambda: pixel_array(ds, decoding_plugin=plugin), repeats)
    return best_ms(lambda: stored_pixels(ds), repeats) / bare - 1


def cost_of_the_process(ds: Dataset, repeats: int) -> float:
    """Return what part of the decoding in place is added by decoding in a decoder process."""
    coded = frame_of(ds.PixelData)
    apart = best_ms(lambda: decode_apart(ds, coded), repeats)
    return apart / best_ms(lambda: decode(ds, coded), repeats) - 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="2048 x 2500 instead of 512 x 640")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    rows, columns = (2500, 2048) if options.full else (640, 512)
    print(f"{rows} x {columns}, best of {options.repeats}")
    print(f"{'syntax':32s} bits  pydicom  chosen decoder  read_film  read_film / pydicom")
    for syntax in SYNTAXES:
        for bits in (12, 16):
            ds = make_film_ds(rows=rows, columns=columns, bits_stored=bits, transfer_syntax=syntax)
            bare, decoder, read = (
                best_ms(lambda work=work, ds=ds: work(ds), options.repeats)
                for work in (pixel_array, stored_pixels, read_film)
            )
            print(
                f"{syntax.keyword:32s} {bits:4d} {bare:8.1f} {decoder:15.1f} {read:10.1f}"
                f" {read / bare:9.2f}"
            )
    for rows, columns in [(2500, 2048), (4000, 3300)] if options.full else [(1600, 1400)]:
        ds = make_film_ds(rows=rows, columns=columns, transfer_syntax=JPEG2000Lossless)
        halved, share = share_when_compared(ds, options.repeats)
        print(
            f"compared, {rows} x {columns}, halved {halved} times: {share:.2f} of the whole film's"
        )
    for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1):
        with TemporaryDirectory() as folder:
            bits = 8 if syntax == JPEGBaseline8Bit else 12
            ds = dcmread(
                encoded(Path(folder), syntax, rows=rows, columns=columns, bits_stored=bits)
            )
        cost = cost_of_the_check(ds, options.repeats)
        print(f"{syntax.keyword}, {rows} x {columns}, check of its end: {cost:.2f} of a decoding")
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        ds = make_film_ds(rows=rows, columns=columns, transfer_syntax=syntax)
        cost = cost_of_the_process(ds, options.repeats)
        print(f"{syntax.keyword}, {rows} x {columns}, a process of its own: {cost:+.2f}")


if __name__ == "__main__":
    main()
