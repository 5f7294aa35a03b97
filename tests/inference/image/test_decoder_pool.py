"""A stream that ends its decoder ends nothing else, and costs nobody else a film."""

import os
import select
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import imagecodecs
import numpy as np
import pytest
from films import make_film_ds
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless
from syntaxes import encoded

from inference.image import decoder_pool, decoder_process
from inference.image.codestream import frame_of, without_remarks
from inference.image.decoder_pool import DecoderPool, NoDecoder, decode_apart
from inference.image.undecodable import NotAFilm

# a JPEG File Interchange Format of version 9.9: gdcm ends the process over it
UNKNOWN_JFIF = bytes.fromhex("ffe00010 4a46494600 0909 00 0001 0001 0000")


def frame_in(folder: Path, syntax: UID) -> tuple[Dataset, bytes]:
    ds = dcmread(encoded(folder, syntax, rows=96, columns=80, bits_stored=12))
    return ds, without_remarks(frame_of(ds.PixelData))


def that_crashes(coded: bytes) -> bytes:
    return coded[:2] + UNKNOWN_JFIF + coded[2:]


def decoders_of_this_process() -> list[int]:
    """Return the processes that decode for this one (Linux's /proc)."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if decoder_process.__name__ in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
    return found


def test_a_stream_that_crashes_its_decoder_is_refused_and_the_next_film_is_decoded(tmp_path):
    frame, coded = frame_in(tmp_path, JPEGLosslessSV1)
    before = decode_apart(frame, coded)
    with pytest.raises(NotAFilm, match=r"JPEG Lossless.*they crashed the decoder"):
        decode_apart(frame, that_crashes(coded))
    assert np.array_equal(decode_apart(frame, coded), before)


def test_a_crash_costs_no_film_that_is_decoded_beside_it(tmp_path):
    frame, coded = frame_in(tmp_path, JPEGLosslessSV1)
    right = decode_apart(frame, coded)

    def outcome(stream: bytes) -> bool | str:
        try:
            return np.array_equal(decode_apart(frame, stream), right)
        except NotAFilm as error:
            return str(error)

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(outcome, [coded, that_crashes(coded)] * 8))
    assert outcomes[::2] == [True] * 8
    assert all("crashed" in str(one) for one in outcomes[1::2])


def test_a_decoder_that_is_killed_from_outside_is_never_the_films_fault(tmp_path):
    frame, coded = frame_in(tmp_path, JPEG2000Lossless)
    right = decode_apart(frame, coded)
    for process in decoders_of_this_process():
        os.kill(process, signal.SIGKILL)
    assert np.array_equal(decode_apart(frame, coded), right)


def test_decoders_that_are_killed_again_and_again_say_nothing_of_the_film(tmp_path, monkeypatch):
    frame, coded = frame_in(tmp_path, JPEG2000Lossless)
    killed = tmp_path / "killed.py"
    killed.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setattr(decoder_pool, "COMMAND", (sys.executable, str(killed)))
    with pytest.raises(NoDecoder, match="from outside"):
        DecoderPool(1).decode(frame, coded, 0)


@pytest.mark.parametrize(
    "reply",
    [
        b"what a decoder prints",
        b"\x02\0\0\0\0\0\0\0\0\0\0\0{}",  # no pixels
        b"\x02\0\0\0\xff\xff\xff\xff\xff\0\0\0{}",  # more bytes than any film has
        b"\x20\0\0\0\0\0\0\0\0\0\0\0" + b'{"dtype": "O", "shape": [1, 1]} ',
    ],
)
def test_whatever_a_decoder_process_writes_only_pixels_are_taken(tmp_path, monkeypatch, reply):
    frame, coded = frame_in(tmp_path, JPEG2000Lossless)
    other = tmp_path / "other.py"
    other.write_text(f"import sys\nsys.stdout.buffer.write({reply!r})\n")
    monkeypatch.setattr(decoder_pool, "COMMAND", (sys.executable, str(other)))
    with pytest.raises(NotAFilm, match="crashed"):
        DecoderPool(1).decode(frame, coded, 0)


def test_a_stream_that_claims_the_memory_of_the_machine_is_refused():
    frame, coded = claiming(40_000)
    with pytest.raises(NotAFilm, match=r"memory|crashed|damaged"):
        decode_apart(frame, coded)


def claiming(side: int) -> tuple[Dataset, bytes]:
    """Return a small JPEG-LS stream that claims to be so large, and a header that agrees."""
    ds = make_film_ds(rows=64, columns=64, transfer_syntax=JPEGLSLossless)
    coded = frame_of(ds.PixelData)
    at = coded.index(b"\xff\xf7") + 5
    ds.Rows = ds.Columns = side
    return ds, coded[:at] + side.to_bytes(2, "big") * 2 + coded[at + 4 :]


def test_a_stream_that_computes_without_end_is_refused(tmp_path, monkeypatch):
    noise = np.random.default_rng(5).integers(0, 4096, (3000, 3000), np.uint16)
    frame, _ = frame_in(tmp_path, JPEG2000Lossless)
    frame.Rows, frame.Columns = noise.shape
    monkeypatch.setattr(decoder_pool, "SECONDS", -6 * 9)  # none, at this size
    with pytest.raises(NotAFilm, match="takes longer than any film"):
        decode_apart(frame, imagecodecs.jpeg2k_encode(noise, codecformat="j2k", level=0))


def test_a_film_in_the_terms_of_another_process_is_the_same_film(tmp_path):
    frame, coded = frame_in(tmp_path, JPEGLosslessSV1)
    header, parts = decoder_process.reply_to(decoder_process.request(frame, 0, 60), coded)
    assert header["shape"] == (frame.Rows, frame.Columns)
    assert np.array_equal(parts[0], decode_apart(frame, coded))


def test_a_decoder_process_ends_with_the_process_that_started_it(tmp_path):
    frame, coded = frame_in(tmp_path, JPEG2000Lossless)
    (tmp_path / "coded").write_bytes(coded)
    frame.save_as(tmp_path / "frame.dcm")
    program = """
import os, sys
from pathlib import Path
from pydicom import dcmread
from inference.image.decoder_pool import decode_apart
decode_apart(dcmread("frame.dcm"), Path("coded").read_bytes())
print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
os._exit(0)
"""
    done = run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    for process in done.stdout.split():
        assert_ends(int(process))


def assert_ends(process: int) -> None:
    try:
        end = os.pidfd_open(process)
    except ProcessLookupError:
        return
    assert select.select([end], [], [], 30)[0], "a decoder process outlives its parent"
    os.close(end)
