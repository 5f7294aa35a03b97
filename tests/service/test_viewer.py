"""What a radiologist sees: the answered study in the real OHIF. Pictures: .artefacts/viewer/."""

from pathlib import Path

import pytest
from ohif import empty, open_viewer
from study import make_study

pytestmark = pytest.mark.xdist_group("viewer")

SHOTS = Path(__file__).parents[2] / ".artefacts" / "viewer"
NODULE = "Nodule 93.0 % (AI, threshold 30.0 %)"


@pytest.fixture(scope="module")
def study(philips_film):
    return make_study(philips_film)


FEW = {"finding_captures": 0, "comparison_capture": False, "segmentation": False}


@pytest.fixture(scope="module")
def normal(philips_film):
    return make_study(philips_film, {}, name="normal", report_class="enhanced", **FEW)


@pytest.fixture(scope="module")
def adoptable(philips_film):
    wanted = {"adoptable_outlines": True, "report_class": "comprehensive"}
    return make_study(philips_film, name="adoptable", **wanted, **FEW)


@pytest.fixture(scope="module")
def viewer(study, orthanc):
    orthanc.store([study.film, study.prior, *(made.ds for made in study.objects)])
    with open_viewer(orthanc.http_port, empty(SHOTS)) as viewer:
        yield viewer


@pytest.fixture
def opened(viewer, study):
    """The viewer with the study open, and nothing said of an earlier test."""
    viewer.errors.clear()
    viewer.open(study.film.StudyInstanceUID)
    return viewer


def test_the_study_opens_with_the_film_first_and_lists_all_results(opened, study):
    (film,) = opened.drawn()
    assert film["coloured"] == 0
    listed = opened.listed()
    assert listed.index("Chest PA") < listed.index("AI chest X-ray")
    for made in study.objects:
        assert made.ds.SeriesDescription in listed
    opened.shot("film")


def test_pictures_are_drawn_in_colour(opened, study):
    for kind in ("summary-capture", "finding-capture", "comparison-capture"):
        opened.open_series(study.made(kind).SeriesDescription)
        opened.drawn(coloured=True)
        opened.shot(kind)
    assert opened.errors == []


def test_the_report_lays_outlines_and_their_findings_over_the_film(opened, study):
    opened.open_series(study.made("report").SeriesDescription)
    texts = opened.texts(NODULE)
    assert "Certainty of Finding: 93.00 %" in texts
    assert "Mass 97.0 % (AI, threshold 30.0 %): " in texts
    assert opened.outlines() >= 2
    assert opened.is_whole()
    opened.shot("report")
    assert opened.errors == []


def test_outlines_can_be_taken_over_where_the_site_says_so(viewer, adoptable, orthanc):
    orthanc.store([adoptable.film, *(made.ds for made in adoptable.objects)])
    viewer.open(adoptable.film.StudyInstanceUID)
    viewer.open_series(adoptable.made("report").SeriesDescription)
    viewer.texts(NODULE)
    viewer.answer_yes()
    viewer.measurements(NODULE)
    assert viewer.is_whole()
    viewer.shot("report-taken-over")


def test_a_label_map_is_drawn_over_the_film(opened, study):
    opened.open_series(study.made("label-map").SeriesDescription)
    opened.answer_yes()
    opened.drawn(coloured=True)
    assert opened.is_whole()
    opened.shot("label-map")


def test_what_was_not_analysed_is_said_on_the_film(opened, study):
    opened.open_series(study.made("not-analysed").SeriesDescription)
    said = opened.texts("NOT ANALYSED (AI): The film is a lateral view.")
    assert "Findings not looked for: 14.00 {findings}" in said
    assert opened.is_whole()
    opened.shot("not-analysed")


def test_that_nothing_was_found_is_said_on_the_film(viewer, normal, orthanc):
    orthanc.store([normal.film, *(made.ds for made in normal.objects)])
    viewer.open(normal.film.StudyInstanceUID)
    viewer.open_series(normal.made("report").SeriesDescription)
    viewer.texts("None of 14 above the site's threshold; not thereby normal (AI)")
    assert viewer.is_whole()
    viewer.shot("report-of-no-finding")


@pytest.mark.parametrize("kind", ["presentation-state", "segmentation"])
def test_what_ohif_does_not_draw_leaves_the_page_whole(kind, opened, study):
    opened.open_series(study.made(kind).SeriesDescription)
    assert opened.is_whole()
    opened.drawn()
    opened.shot(kind)


def test_current_and_prior_stand_side_by_side(viewer, study):
    uids = (study.film.StudyInstanceUID, study.prior.StudyInstanceUID)
    viewer.open(*uids, hangingprotocolId="@ohif/hpCompare")
    viewer.drawn(2)
    viewer.shot("prior")


def test_a_report_that_ohif_cannot_open_would_be_seen(viewer, study, orthanc):
    broken = make_study_with_a_bare_group(study)
    orthanc.store([broken])
    viewer.open(study.film.StudyInstanceUID)
    viewer.open_series(broken.SeriesDescription)
    assert not viewer.is_whole()


def make_study_with_a_bare_group(study):
    """The report with a measurement group whose number has no region."""
    import copy

    from films import made_uid

    ds = copy.deepcopy(study.made("report"))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        setattr(ds, keyword, made_uid("bare", ds[keyword].value))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.SeriesDescription = "A bare group"
    for item in ds.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "126010":
            for group in item.ContentSequence:
                for inner in group.ContentSequence:
                    if inner.ValueType == "NUM":
                        del inner.ContentSequence
    return ds
