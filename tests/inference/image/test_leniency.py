"""Data sets with elements that are none: read as DCMTK reads them, taken in, answered."""

import json
import struct

import pytest
from films import make_film_ds
from network import data_set, film, open_stores, raw, receiving, save
from pydicom import dcmread

from inference.image import header
from scp.commands.analyse import analyse_files
from scp.commands.options import CONFIG, load
from scp.errors import CANNOT_UNDERSTAND, SUCCESS, ConfigError

NAME = b"\x08\0\x80\0LO"  # Institution Name, Explicit VR
BODY_PART = b"\x18\0\x15\0"


def broken_vr(data):
    """The VR of one element is NUL, as case E04 of a real archive has it."""
    assert NAME in data
    return data.replace(NAME, NAME[:4] + b"\0\0", 1)


def broken_length(data):
    """A text is said to be floats, and is no multiple of four bytes."""
    at = data.index(BODY_PART)
    (length,) = struct.unpack("<H", data[at + 6 : at + 8])
    odd = BODY_PART + b"FL" + struct.pack("<H", 6) + b"CHEST "
    return data[:at] + odd + data[at + 8 + length :]


def written(tmp_path, change):
    ds = make_film_ds(rows=64, columns=64)
    ds.InstitutionName, ds.BodyPartExamined = "A hospital", "CHEST"
    path = save(ds, tmp_path / "films" / f"{change.__name__}.dcm")
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize("change", [broken_vr, broken_length])
def test_one_impossible_element_costs_nothing_but_itself(tmp_path, change):
    ds = dcmread(written(tmp_path, change))
    assert ds.Rows == ds.Columns == 64
    assert ds.pixel_array.shape == (64, 64)
    assert header.text(ds, "Modality") == "DX"
    assert header.text(ds, "InstitutionName") == "A hospital"
    assert header.text(ds, "BodyPartExamined") == "CHEST"


@pytest.mark.parametrize("change", [broken_vr, broken_length])
def test_a_film_with_an_impossible_element_is_taken_in_as_it_was_sent(tmp_path, change):
    ds = film()
    ds.InstitutionName, ds.BodyPartExamined = "A hospital", "CHEST"
    with open_stores(tmp_path) as stores:
        with receiving(stores) as receiver, raw(receiver) as peer:
            assert peer.store(change(data_set(ds)), ds.SOPInstanceUID) == SUCCESS
        assert [row.uid for row in stores.instances()] == [ds.SOPInstanceUID]


def test_a_film_whose_uids_have_leading_zeros_is_taken_in(tmp_path):
    ds = film()
    uid = "1.2.840.0099.007"
    content = data_set(ds)
    old = ds.SOPInstanceUID.encode()
    new = uid.encode().ljust(len(old), b"\0")
    with open_stores(tmp_path) as stores:
        with receiving(stores) as receiver, raw(receiver) as peer:
            assert peer.store(content.replace(old, new), uid) == SUCCESS
        assert [row.uid for row in stores.instances()] == [uid]


def test_a_data_set_that_cannot_be_parsed_is_refused_with_the_element_where_it_ends(tmp_path):
    ds = film()
    content = data_set(ds)
    at = content.index(b"\x20\0\x0d\0UI")  # Study Instance UID, as a sequence that is none
    broken = b"\x20\0\x0d\0SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\x10\0\0\0abc"
    with open_stores(tmp_path) as stores:
        with receiving(stores) as receiver, raw(receiver) as peer:
            status = peer.store(content[:at] + broken, ds.SOPInstanceUID)
        assert status == CANNOT_UNDERSTAND
        (refused,) = stores.refused()
    assert "parsed from (0020,000D) StudyInstanceUID on" in refused.reason


def test_a_data_set_that_breaks_off_is_refused_with_the_element_within_which_it_does(tmp_path):
    ds = film()
    content = data_set(ds)
    cut = content[: content.index(b"\x20\0\x0d\0UI") + 12]  # within the Study Instance UID
    with open_stores(tmp_path) as stores:
        with receiving(stores) as receiver, raw(receiver) as peer:
            assert peer.store(cut, ds.SOPInstanceUID) == CANNOT_UNDERSTAND
        (refused,) = stores.refused()
    assert refused.reason.endswith("breaks off within (0020,000D) StudyInstanceUID")


def test_films_are_analysed_in_a_folder_without_configuration_and_none_ends_the_batch(
    tmp_path, monkeypatch, tiny_bundle, capsys
):
    good = save(make_film_ds(), tmp_path / "films" / "good.dcm")
    bad = tmp_path / "films" / "bad.dcm"
    bad.write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    odd = written(tmp_path, broken_vr)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_INFERENCE__BUNDLE", str(tiny_bundle))
    settings = load(CONFIG, "analyse", quiet=True, without_file=True)
    assert analyse_files(settings, [tmp_path / "films"], tmp_path / "out", as_json=True) == 1
    outcomes = {row["source"]: row["outcome"] for row in json.loads(capsys.readouterr().out)}
    assert len(outcomes) == 3
    assert outcomes[str(good)] == "answered"
    assert outcomes[str(bad)].startswith("refused")
    assert not outcomes[str(odd)].startswith(("refused", "failed"))


def test_a_configuration_that_was_named_or_is_needed_must_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for named, without_file in ((CONFIG, False), (tmp_path / "other.toml", True)):
        with pytest.raises(ConfigError, match="is not there"):
            load(named, "analyse", without_file=without_file)
