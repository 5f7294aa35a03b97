"""Films in every transfer syntax that hilum accepts, encoded by whoever here can."""

import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
from films import make_film_ds
from peers import require_peer
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
)

# options of DCMTK's dcmcjpeg
DCMCJPEG = {
    JPEGBaseline8Bit: "+eb",
    JPEGExtended12Bit: "+ee",
    JPEGLossless: "+el",
    JPEGLosslessSV1: "+e1",
}
LOSSY = {JPEGLSNearLossless: {"jls_error": 2}, JPEG2000: {"j2k_cr": [2]}}
HIGH_THROUGHPUT = (HTJ2KLossless, HTJ2KLosslessRPCL)


def encoded(folder: Path, syntax: UID, *film: Any, **arguments: Any) -> Path:
    """Write `make_film_ds` of these arguments in a transfer syntax; return the file."""
    path = folder / "film.dcm"
    if syntax in DCMCJPEG:
        plain = folder / "plain.dcm"
        make_film_ds(*film, **arguments).save_as(plain, enforce_file_format=True)
        command = [require_peer("dcmcjpeg"), DCMCJPEG[syntax], "+un", str(plain), str(path)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        return path
    if syntax in HIGH_THROUGHPUT:
        ds = make_film_ds(*film, **arguments)
        ds.PixelData = encapsulate([imagecodecs.htj2k_encode(ds.pixel_array, reversible=True)])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = syntax
    elif syntax in LOSSY:
        ds = make_film_ds(*film, **arguments)
        ds.compress(syntax, generate_instance_uid=False, **LOSSY[syntax])
    else:
        ds = make_film_ds(*film, transfer_syntax=syntax, **arguments)
    ds.save_as(path, enforce_file_format=True)
    return path
