"""What reading a film costs beyond the bare decoding of its pixels.

    python tests/benchmarks/reading.py            # a small film, seconds
    python tests/benchmarks/reading.py --full     # 2048 x 2500

Prints, for each transfer syntax, milliseconds of the bare decoding and of `read_film`, and their
ratio within this run. Times depend on the machine and its load; compare ratios.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from inference.image.decoding import stored_pixels
from inference.image.film import read_film

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from films import make_film_ds

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="2048 x 2500 instead of 512 x 640")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
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


if __name__ == "__main__":
    main()
