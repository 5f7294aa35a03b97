"""Data sets that stand in a file without preamble or file meta information."""

import numpy as np
import pytest
from films import make_film_ds
from pydicom import dcmread
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from inference.image.film import read_film
from scp.commands.part10 import copy_as_part10
from scp.errors import Unreadable


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("before", [b"", bytes(128) + b"DICM"], ids=["bare", "preamble"])
def test_a_data_set_without_meta_information_becomes_a_file(before, syntax, tmp_path):
    ds = make_film_ds(transfer_syntax=syntax)
    plain = read_film(ds).pixels
    ds.save_as(tmp_path / "whole", enforce_file_format=True)
    with (tmp_path / "whole").open("rb") as file:
        read_preamble(file, force=False)
        _read_file_meta_info(file)
        (tmp_path / "bare").write_bytes(before + file.read())
    copy_as_part10(tmp_path / "bare", tmp_path / "film.dcm")
    read = dcmread(tmp_path / "film.dcm")
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
    assert np.array_equal(read_film(read).pixels, plain)


def test_a_file_without_its_preamble_keeps_its_transfer_syntax(tmp_path):
    make_film_ds(transfer_syntax=JPEGLSLossless).save_as(tmp_path / "a", enforce_file_format=True)
    (tmp_path / "bare").write_bytes((tmp_path / "a").read_bytes()[132:])
    copy_as_part10(tmp_path / "bare", tmp_path / "film.dcm")
    assert dcmread(tmp_path / "film.dcm").file_meta.TransferSyntaxUID == JPEGLSLossless


def test_a_file_of_ps3_10_is_copied_byte_for_byte(tmp_path):
    make_film_ds().save_as(tmp_path / "a", enforce_file_format=True)
    copy_as_part10(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500, bytes(range(256)) * 9])
def test_what_is_no_data_set_is_refused(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Unreadable):
        copy_as_part10(tmp_path / "a", tmp_path / "b")
