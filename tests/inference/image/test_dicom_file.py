"""Deflated files are read as pydicom reads them, and inflated no further than they may be."""

import tracemalloc

import pytest
from bombs import deflated_bomb
from films import make_film_ds
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from inference.image import dicom_file
from inference.image.dicom_file import read_dicom
from inference.image.undecodable import NotAFilm

MOST_MEMORY = 16_000_000


def saved(path, syntax=DeflatedExplicitVRLittleEndian):
    make_film_ds(rows=64, columns=48, transfer_syntax=syntax).save_as(
        path, enforce_file_format=True
    )
    return path


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("header_only", [True, False])
def test_a_file_is_read_as_pydicom_reads_it(tmp_path, syntax, header_only):
    path = saved(tmp_path / "film.dcm", syntax)
    ours = read_dicom(path, stop_before_pixels=header_only)
    theirs = dcmread(path, stop_before_pixels=header_only)
    assert (ours, ours.file_meta, ours.preamble) == (theirs, theirs.file_meta, theirs.preamble)
    assert ours.original_encoding == theirs.original_encoding
    assert ours.original_character_set == theirs.original_character_set
    assert ours.filename == theirs.filename


def test_a_deflated_film_is_written_again_as_it_was(tmp_path):
    path = saved(tmp_path / "film.dcm")
    read_dicom(path).save_as(tmp_path / "again.dcm")
    assert dcmread(tmp_path / "again.dcm") == dcmread(path)


@pytest.mark.parametrize("header_only", [True, False])
@pytest.mark.parametrize("element", ["PixelData", "a private element"])
def test_what_inflates_without_end_is_refused_in_little_memory(tmp_path, element, header_only):
    path = deflated_bomb(tmp_path / "bomb.dcm", in_header=element != "PixelData")
    assert path.stat().st_size < 2_100_000
    whole = not header_only
    tracemalloc.start()
    try:
        with pytest.raises(NotAFilm, match="inflates to more than 512 MB"):
            read_dicom(path, stop_before_pixels=header_only)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (2 * dicom_file.MOST_INFLATED_BYTES if whole else MOST_MEMORY)


def test_a_header_that_inflates_beyond_any_header_is_refused(tmp_path):
    path = deflated_bomb(tmp_path / "bomb.dcm", megabytes=80, in_header=True)
    with pytest.raises(NotAFilm, match="inflates to more than 64 MB"):
        read_dicom(path, stop_before_pixels=True)


@pytest.mark.parametrize("header_only", [True, False])
def test_a_deflated_data_set_that_breaks_off_or_is_damaged_is_refused(tmp_path, header_only):
    path = saved(tmp_path / "film.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(NotAFilm, match="breaks off"):
        read_dicom(path, stop_before_pixels=header_only)
    path.write_bytes(whole[:-400] + b"\xff" * 400)
    with pytest.raises(NotAFilm, match=r"is damaged|breaks off"):
        read_dicom(path, stop_before_pixels=header_only)


def test_a_padding_byte_after_the_deflated_data_set_counts_for_nothing(tmp_path):
    path = saved(tmp_path / "film.dcm")
    ds = dcmread(path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert read_dicom(path) == ds


@pytest.mark.parametrize("data", [b"", b"x", b"GIF89a" + bytes(500)])
def test_what_is_no_dicom_file_is_said_to_be_none(tmp_path, data):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(InvalidDicomError):
        read_dicom(path)
