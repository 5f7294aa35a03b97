"""Objects on disk: whole or not at all, under names made of nothing but valid UIDs and hashes."""

import hashlib
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept import keep_result
from pydicom.uid import UID

from scp.archive import Archive, sha256_of, valid_uid
from scp.config.storage import ArchiveSettings
from scp.errors import OUT_OF_RESOURCES, ArchiveFull, ServiceError, Unreadable

STUDY, SOP = UID("1.2.3"), UID("1.2.3.4")
PREAMBLE = b"ours "


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "data", ArchiveSettings(reserve_mb=0))


def incoming(archive, data, name="a.dcm"):
    path = archive.incoming / name
    path.write_bytes(PREAMBLE + data)
    return path


def names_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def keep(archive, received, sop=SOP):
    return archive.keep_film(received, STUDY, sop, len(PREAMBLE))


def test_a_film_is_moved_under_study_and_instance_with_its_hash_and_size(archive):
    stored = keep(archive, incoming(archive, b"pixels"))
    assert archive.path(stored.path).read_bytes() == PREAMBLE + b"pixels"
    assert stored.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert stored.size_bytes == len(PREAMBLE + b"pixels")
    assert names_in(archive.data_dir) == [stored.path]
    assert stored.path.startswith("archive/")
    assert stored.path.endswith(f"/1.2.3/1.2.3.4-{stored.sha256[:32]}.dcm")


def test_the_hash_is_of_the_data_set_and_not_of_what_we_put_before_it(archive):
    first = keep(archive, incoming(archive, b"pixels"))
    other = archive.incoming / "b.dcm"
    other.write_bytes(b"a longer preamble" + b"pixels")
    second = archive.keep_film(other, STUDY, SOP, len(b"a longer preamble"))
    assert (first.sha256, first.path) == (second.sha256, second.path)


def test_other_bytes_under_the_same_uid_stand_beside_the_first(archive):
    first, second = keep(archive, incoming(archive, b"a")), keep(archive, incoming(archive, b"b"))
    assert archive.path(first.path).read_bytes() == PREAMBLE + b"a"
    assert archive.path(second.path).read_bytes() == PREAMBLE + b"b"


def test_a_name_holds_so_much_of_the_hash_that_nobody_can_forge_it(archive):
    name = archive.path(keep(archive, incoming(archive, b"a")).path).stem
    assert len(name.removeprefix(f"{SOP}-")) * 4 >= 128


def test_nothing_stands_under_a_final_name_when_the_rename_cannot_happen(archive):
    received = incoming(archive, b"pixels")
    target = archive.path(keep(archive, incoming(archive, b"pixels", "b.dcm")).path)
    target.unlink()
    target.mkdir()  # a rename onto a folder fails
    with pytest.raises(OSError, match="directory"):
        keep(archive, received)
    assert received.read_bytes() == PREAMBLE + b"pixels"
    assert names_in(archive.data_dir / "archive") == []


def test_a_result_that_cannot_be_written_leaves_nothing_under_its_name(archive):
    archive.incoming.rmdir()
    with pytest.raises(OSError, match="No such file"):
        keep_result(archive, b"object", STUDY, SOP)
    assert names_in(archive.data_dir) == []


def test_a_result_made_again_replaces_itself(archive):
    first = keep_result(archive, b"object", STUDY, SOP)
    assert keep_result(archive, b"object", STUDY, SOP) == first
    assert names_in(archive.data_dir) == [first.path]
    assert archive.path(first.path).read_bytes() == b"object"


def test_a_reader_sees_the_old_result_or_the_new_one_but_never_half_of_one(archive):
    versions = [bytes([letter]) * 300_000 for letter in b"ab"]
    path = archive.path(keep_result(archive, versions[0], STUDY, SOP).path)
    done = threading.Event()

    def write():
        for i in range(20):
            keep_result(archive, versions[i % 2], STUDY, SOP)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_bytes() in versions
    writer.join()


def test_the_bytes_and_the_name_are_on_the_disk_before_a_film_is_kept(archive, monkeypatch):
    """The order of system calls is what a power cut would show; here they are written down."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        calls.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))  # noqa: PTH115, PTH119
        fsync(descriptor)

    def noted_replace(source, target):
        calls.append(("rename", os.path.basename(source)))  # noqa: PTH119
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    keep(archive, incoming(archive, b"pixels"))
    assert calls.index(("fsync", "a.dcm")) < calls.index(("rename", "a.dcm"))
    assert calls[-2:] == [("rename", "a.dcm"), ("fsync", "1.2.3")]
    assert ("fsync", "archive") in calls  # the study's new folder has its name on the disk too


@pytest.mark.parametrize(
    "text",
    [
        *("", None, "../..", "1.2/../../etc", "1.2\n3", "1..2", "1.2.", "1.2.x", "1.2\x003", "1 2"),
        *(".", "..", "/", ["1.2", "1.3"], "1." * 32 + "1.2"),
    ],
)
def test_what_is_no_valid_uid_is_refused_and_never_part_of_a_path(text):
    with pytest.raises(Unreadable, match="StudyInstanceUID"):
        valid_uid(text, "StudyInstanceUID")


@pytest.mark.parametrize("text", ["1.2.0345", "01.2", "1.2\0", "1.2 "])
def test_a_uid_that_scanners_make_and_pacs_keep_is_taken(text):
    assert valid_uid(text, "x") == text.strip("\0 ")


@given(st.text(alphabet="0123456789./\\\n\x00 abc-", max_size=70))
def test_whatever_passes_as_a_uid_is_one_plain_folder_name(text):
    try:
        uid = valid_uid(text, "x")
    except Unreadable:
        return
    assert uid == text.strip("\0 ").strip()
    assert set(uid) <= set("0123456789.")
    assert uid not in (".", "..")
    assert 0 < len(uid) <= 64


def test_below_the_reserve_the_archive_is_full_and_says_what_to_do(tmp_path):
    full = Archive(tmp_path, ArchiveSettings(reserve_mb=10**9))
    with pytest.raises(ArchiveFull, match="reserve_mb") as refusal:
        full.require_space()
    assert refusal.value.status == OUT_OF_RESOURCES


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (ArchiveSettings(), 10_000_000_000),
        (ArchiveSettings(reserve_mb=20_000), 20_000_000_000),
        (ArchiveSettings(reserve_mb=0, reserve_percent=2.5), 25_000_000_000),
        (ArchiveSettings(reserve_percent=0), 1_024_000_000),
        (ArchiveSettings(reserve_mb=0, reserve_percent=0), 0),
    ],
)
def test_of_megabytes_and_per_cent_the_larger_is_kept_free(settings, kept):
    assert settings.reserve_bytes(10**12) == kept


def test_per_cent_alone_refuse_films_too(tmp_path):
    with pytest.raises(ArchiveFull, match="reserve_percent"):
        Archive(tmp_path, ArchiveSettings(reserve_mb=0, reserve_percent=100)).require_space()


def test_above_the_reserve_there_is_space(archive):
    archive.require_space()


def test_only_what_is_old_and_unfinished_is_discarded(archive):
    old, young = incoming(archive, b"1", "old.dcm"), incoming(archive, b"2", "young.dcm")
    kept = keep(archive, incoming(archive, b"3", "kept.dcm"))
    for path in (old, archive.path(kept.path)):
        os.utime(path, (1000, 1000))
    os.utime(young, (4000, 4000))
    assert archive.discard_partial(3600, now=4700) == 1
    assert names_in(archive.incoming) == ["young.dcm"]
    assert archive.path(kept.path).exists()


def test_quarantine_keeps_every_byte(archive):
    data = bytes(range(256)) * 10
    received = archive.incoming / "x"
    received.write_bytes(data)
    stored = archive.quarantine(received)
    assert not received.exists()
    assert archive.path(stored.path).read_bytes() == data
    assert stored.path == f"quarantine/{hashlib.sha256(data).hexdigest()}.dcm"


def test_the_same_bytes_are_quarantined_once(archive):
    for _ in range(2):
        stored = archive.quarantine(incoming(archive, b"odd"))
    assert names_in(archive.data_dir) == [stored.path]


def test_hashing_skips_what_it_is_told_to(tmp_path):
    (tmp_path / "f").write_bytes(b"abcdef")
    assert sha256_of(tmp_path / "f", 2) == hashlib.sha256(b"cdef").hexdigest()


def test_many_may_make_the_same_folders_at_once(tmp_path):
    errors = []

    def make():
        try:
            Archive(tmp_path / "a" / "b")
        except OSError as error:
            errors.append(error)

    makers = [threading.Thread(target=make) for _ in range(16)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert errors == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_root_leaves_nothing_in_the_folder_of_the_services_user(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    os.chown(data_dir, 65534, -1)
    with pytest.raises(ServiceError, match=r"belongs to nobody.*sudo -u nobody hilum"):
        Archive(data_dir)
    assert names_in(data_dir) == []
