"""Films in every transfer syntax that hilum accepts, encoded by whoever here can."""

import subprocess
from pathlib import Path
from typing import Any

from films import make_film_ds
from peers import require_peer
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
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
# no encoder for these is at hand; their decoder also reads the plain JPEG 2000 put in instead
AS_JPEG_2000 = (HTJ2KLossless, HTJ2KLosslessRPCL)


def encoded(folder: Path, syntax: UID, *film: Any, **arguments: Any) -> Path:
    """Write `make_film_ds` of these arguments in a transfer syntax; return the file."""
    path = folder / "film.dcm"
    if syntax in DCMCJPEG:
        plain = folder / "plain.dcm"
        make_film_ds(*film, **arguments).save_as(plain, enforce_file_format=True)
        command = [require_peer("dcmcjpeg"), DCMCJPEG[syntax], "+un", str(plain), str(path)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        return path
    if syntax in LOSSY:
        ds = make_film_ds(*film, **arguments)
        ds.compress(syntax, generate_instance_uid=False, **LOSSY[syntax])
    else:
        real = JPEG2000Lossless if syntax in AS_JPEG_2000 else syntax
        ds = make_film_ds(*film, transfer_syntax=real, **arguments)
        ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, enforce_file_format=True)
    return path
