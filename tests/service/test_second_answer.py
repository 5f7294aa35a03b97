"""A second answer to a film, through the running service: told from the first in any viewer."""

import pytest
from films import chest, make_film_ds
from pydicom import dcmread
from service import FEWEST_RESULTS, Service, StoreScp, destination, wait_for
from validators import complaints

from scp.pipeline.further_answer import BETTER_PRIOR
from scp.results.tracking import tracked

pytestmark = pytest.mark.xdist_group("service")

DAY = "20240101"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    with StoreScp(tmp_path_factory.mktemp("pacs") / "received") as scp:
        yield scp


@pytest.fixture(scope="module")
def service(tmp_path_factory, tiny_bundle, pacs):
    extra = "[priors]\nsettle_s = 0\n" + FEWEST_RESULTS + destination(pacs.port)
    with Service(tmp_path_factory.mktemp("service"), tiny_bundle, extra) as running:
        yield running


def film(day, **more):
    """A film that shows the same as every other."""
    return make_film_ds(chest(seed=3), study_date=day, **more)


def two_studies():
    return film("20220101", patient_id="TWO"), film(DAY, patient_id="TWO")


def one_study():
    first, second = (film(DAY, patient_id="ONE", AcquisitionTime=t) for t in ("080000", "110000"))
    second.StudyInstanceUID = first.StudyInstanceUID
    return first, second


def send(service, folder, *films):
    """Send films in one association."""
    paths = [folder / f"{ds.SOPInstanceUID}.dcm" for ds in films]
    for ds, path in zip(films, paths, strict=True):
        ds.save_as(path, enforce_file_format=True)
    service.storescu(*paths)


def answers(service, pacs, uid):
    """Return what the PACS has of each answer to a film, by number and kind."""
    rows = service.delivered(uid)["results"]
    got = {ds.SOPInstanceUID: ds for ds in map(dcmread, pacs.files())}
    return {(row["answer"], row["kind"]): got[row["uid"]] for row in rows}


@pytest.mark.parametrize("pair", [two_studies, one_study])
def test_both_films_within_a_second_and_a_better_prior_that_comes_late(
    service, pacs, tmp_path, pair
):
    films = pair()
    send(service, tmp_path, *films)
    uids = [ds.SOPInstanceUID for ds in films]
    older, newer = (answers(service, pacs, uid) for uid in uids)
    found = tracked(older[1, "report"])
    assert found
    assert tracked(newer[1, "report"]) == found  # whichever was answered first
    late = film("20230101", patient_id=films[0].PatientID)
    send(service, tmp_path, late)
    before = tracked(answers(service, pacs, late.SOPInstanceUID)[1, "report"])
    wait_for(
        lambda: (service.film(uids[1])["prior"] or {}).get("uid") == late.SOPInstanceUID,
        "the second answer",
    )
    after = answers(service, pacs, uids[1])
    check_told_apart(after)
    assert tracked(after[2, "report"]) == before  # those of the prior that it names
    made = [after[2, kind] for kind in ("report", "summary-capture", "comparison-capture")]
    assert [complaints(ds, tmp_path) for ds in made] == [[], [], []]


def check_told_apart(after):
    """The two answers differ in what viewers list, and the second report names the first."""
    numbers = [ds.SeriesNumber for ds in after.values()]
    titles = [ds.SeriesDescription for ds in after.values()]
    assert len(set(numbers)) == len(set(titles)) == len(after) == 6
    assert [", answer 2" in ds.SeriesDescription for ds in after.values()] == [
        answer == 2 for answer, _ in after
    ]
    first, second = after[1, "report"], after[2, "report"]
    assert second.SeriesNumber == first.SeriesNumber + 10_000
    assert moment(first) <= moment(second)
    assert "PredecessorDocumentsSequence" not in first
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == first.StudyInstanceUID == second.StudyInstanceUID
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert document.ReferencedSOPInstanceUID == first.SOPInstanceUID
    said = f"Answer 2 to this film, in place of the one before: {BETTER_PRIOR}."
    assert said in [e.value for e in second.iterall() if e.keyword == "TextValue"]


def moment(ds):
    return ds.SeriesDate + ds.SeriesTime
