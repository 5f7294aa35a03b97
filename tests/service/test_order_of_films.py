"""Which film is the earlier one, from the wire to the answer, on a server west of Greenwich."""

import json
import os
import subprocess
import sys

import pytest
from films import make_film_ds
from pydicom import DataElement, config, dcmread
from pydicom.datadict import tag_for_keyword
from service import FEWEST_RESULTS, Service, StoreScp, destination

WEST = "America/New_York"


def film(uid_seed, patient_id, *, own_time, study_time, day="20240102", **more):
    """A film that states its acquisition time or leaves it to the study's."""
    return make_film_ds(
        seed=uid_seed,
        patient_id=patient_id,
        study_date=day,
        study_time=study_time,
        AcquisitionTime=own_time,
        SeriesDate=None,
        SeriesTime=None,
        ContentDate=None,
        ContentTime=None,
        **more,
    )


def acr_nema_film():
    """A film whose times are written as ACR-NEMA had them; pydicom would not let us."""
    ds = film(7, "D", own_time=None, study_time="", day="20040826")
    for keyword, vr, said in (
        ("AcquisitionDate", "DA", "2004.08.26"),
        ("AcquisitionTime", "TM", "18:50:59"),
    ):
        ignore = config.IGNORE
        ds[keyword] = DataElement(tag_for_keyword(keyword), vr, said, validation_mode=ignore)
    return ds


def save(folder, **named):
    for name, ds in named.items():
        ds.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return [folder / f"{name}.dcm" for name in named]


def words(path):
    """What a report says in words."""
    return [e.value for e in dcmread(path).iterall() if e.keyword == "TextValue"]


@pytest.fixture(scope="module")
def analysed(tiny_bundle, tmp_path_factory):
    """`hilum analyse` of films of three patients, in a process of that zone; (JSON, its files)."""
    folder, out = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("out")
    paths = save(
        folder,
        # the 14:00 film states no time of its own: it is no film of midnight
        morning=film(1, "A", own_time="080000", study_time="075500"),
        afternoon=film(2, "A", own_time=None, study_time="140000"),
        # 21:30 +0100 is half an hour before 21:00 +0000
        first=film(3, "B", own_time="213000", study_time="213000", TimezoneOffsetFromUTC="+0100"),
        second=film(4, "B", own_time="210000", study_time="210000", TimezoneOffsetFromUTC="+0000"),
        # no time anywhere on that day
        timeless=film(5, "C", own_time=None, study_time=None),
        timed=film(6, "C", own_time="120000", study_time="120000"),
        acr=acr_nema_film(),
    )
    settings = folder / "config.toml"
    settings.write_text(f'[inference]\nbundle = "{tiny_bundle}"\n', encoding="utf-8")
    command = [sys.executable, "-m", "scp.cli", "analyse", *paths, "--config", settings]
    done = subprocess.run(
        [*command, "--out", out, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TZ": WEST, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows = {
        row["source"].split("/")[-1].removesuffix(".dcm"): row for row in json.loads(done.stdout)
    }
    return rows, out


def test_every_film_is_answered_west_of_greenwich(analysed):
    rows, out = analysed
    assert {row["outcome"].split(",")[0] for row in rows.values()} == {"answered"}
    stated = {str(dcmread(path).TimezoneOffsetFromUTC) for path in out.glob("morning-*.dcm")}
    assert len(stated & {"-0500", "-0400"}) == len(stated) == 1
    assert {str(dcmread(p).TimezoneOffsetFromUTC) for p in out.glob("first-*.dcm")} == {"+0100"}


def test_a_film_without_a_time_of_its_own_takes_the_studys_and_not_midnight(analysed):
    rows, out = analysed
    morning, afternoon = rows["morning"], rows["afternoon"]
    assert morning["film"]["prior"] is None
    assert afternoon["film"]["prior"]["uid"] == morning["film"]["uid"]
    assert afternoon["acquired"] == "2024-01-02 14:00 (study time)"
    assert afternoon["film"]["acquired_from"] == "StudyTime"
    assert afternoon["interval"] == "6 h earlier"
    said = words(out / "afternoon-report.dcm")
    assert "Film taken: 2024-01-02 14:00 (study time)" in said
    assert any("the prior film of 2024-01-02 08:00, 6 h earlier" in word for word in said)


def test_offsets_decide_which_film_is_the_earlier_one(analysed):
    rows, _ = analysed
    assert rows["first"]["film"]["prior"] is None
    assert rows["second"]["film"]["prior"]["uid"] == rows["first"]["film"]["uid"]
    assert rows["second"]["interval"] == "30 min earlier"
    assert rows["first"]["film"]["acquired_offset_minutes"] == 60


def test_films_of_one_day_without_a_time_are_not_compared_and_the_answer_says_so(analysed):
    rows, out = analysed
    for name in ("timeless", "timed"):
        choice = rows[name]["film"]["choice"]
        assert (rows[name]["film"]["prior"], choice["code"]) == (None, "order_not_known")
    later = max(("timeless", "timed"), key=lambda name: len(words(out / f"{name}-report.dcm")))
    assert any("may be earlier or later" in word for word in words(out / f"{later}-report.dcm"))
    assert rows["timeless"]["film"]["acquired_precision"] == "day"


def test_times_as_acr_nema_wrote_them_are_read(analysed):
    rows, _ = analysed
    assert rows["acr"]["film"]["acquired_at"] == "2004-08-26T18:50:59"


@pytest.mark.xdist_group("service")
def test_the_service_answers_and_compares_west_of_greenwich(tiny_bundle, tmp_path):
    """Films of a server whose clock is behind UTC: the receiver's and the worker's zone."""
    with StoreScp(tmp_path / "received") as pacs:
        extra = "[priors]\nsettle_s = 0\n" + FEWEST_RESULTS + destination(pacs.port, "pacs")
        morning = film(8, "WEST", own_time="080000", study_time="075500")
        afternoon = film(9, "WEST", own_time=None, study_time="140000")
        with Service(tmp_path, tiny_bundle, extra, TZ="Pacific/Honolulu") as service:
            for ds, path in zip(
                (morning, afternoon),
                save(tmp_path, morning=morning, afternoon=afternoon),
                strict=True,
            ):
                service.storescu(path)
                row = service.delivered(ds.SOPInstanceUID)
            assert row["prior"]["uid"] == morning.SOPInstanceUID
            page = service.get(f"/films/{afternoon.SOPInstanceUID}").decode()
            assert "2024-01-02 14:00 (study time)" in page
            assert "6 h earlier" in page
        for path in pacs.files():
            assert dcmread(path).TimezoneOffsetFromUTC == "-1000"
