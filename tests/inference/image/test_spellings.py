"""What consoles, technicians and gateways write, in twelve languages, and what hilum makes of it.

`spellings.csv` beside this file is the table: one row a spelling, its outcome first. PA, AP and
frontal: the view that is read; read: a film that is not refused; silent: a part that says nothing;
else the reason of the refusal.
"""

import csv
from pathlib import Path

import pytest
from films import coded
from headers import DEFAULT, header, outcome, silent_header

from inference.image.gate import Reason, check_header
from inference.image.vocabulary import Concept, vocabulary

TABLE = Path(__file__).with_name("spellings.csv")
REFUSED = frozenset(Reason)
TEXTS = ("SeriesDescription", "ProtocolName", "ViewPosition")


def written(*outcomes):
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["outcome"], row["written"]) for row in rows if row["outcome"] in outcomes]


@pytest.fixture(scope="module")
def plain():
    return silent_header()


def read(plain, **values):
    return outcome(header(plain, SpecificCharacterSet="ISO_IR 192", **values))


def test_the_table_has_a_hundred_spellings_of_views_and_parts_and_derived_pictures():
    assert len(written("PA", "AP", "frontal", "read")) > 200
    assert len(written("not_frontal", "view_unknown", "view_not_understood")) > 200
    assert len(written("derived")) > 100
    assert len(written("chest", "not_a_chest")) > 80


@pytest.mark.parametrize("keyword", TEXTS)
@pytest.mark.parametrize(
    "expected", ["PA", "AP", "frontal", "not_frontal", "view_unknown", "view_not_understood"]
)
def test_a_view_is_read_as_it_is_written_in_any_language(expected, keyword, plain):
    said = {text: read(plain, **{keyword: text}) for _, text in written(expected)}
    assert {text: found for text, found in said.items() if found != expected} == {}


def test_no_lateral_becomes_frontal_beside_a_console_that_writes_pa_by_default(plain):
    for _, text in written("not_frontal"):
        for keyword in ("SeriesDescription", "ProtocolName", "BodyPartExamined"):
            found = read(plain, ViewPosition="PA", **{keyword: text})
            assert found in REFUSED, (keyword, text)


def test_a_picture_made_of_a_film_is_told_by_its_series_in_any_language(plain):
    for _, text in written("derived"):
        assert read(plain, SeriesDescription=text, ViewPosition="PA") == "derived", text


def test_a_film_in_usual_words_is_not_refused(plain):
    for _, text in written("read", "PA", "AP", "frontal"):
        assert read(plain, SeriesDescription=text) not in REFUSED, text
        assert read(plain, SeriesDescription=text, ViewPosition="AP") not in REFUSED, text


def test_a_chest_is_a_chest_and_another_part_is_another_in_any_language(plain):
    for expected, text in written("chest", "not_a_chest"):
        view = "PA" if expected == "not_a_chest" else ""
        ds = header(plain, SpecificCharacterSet="ISO_IR 192", BodyPartExamined=text)
        ds.ViewPosition = view
        refusal = check_header(ds, DEFAULT)
        part = (Reason.NOT_A_CHEST, Reason.BODY_PART_UNKNOWN, Reason.BODY_PART_NOT_UNDERSTOOD)
        found = refusal.reason if refusal else None
        assert (found is Reason.NOT_A_CHEST) is (expected == "not_a_chest"), text
        assert found not in part[1:], text


def test_another_part_contradicts_a_chest_that_a_console_writes_by_default(plain):
    for _, text in written("not_a_chest"):
        if Concept.CHEST not in vocabulary().read(text):
            assert read(plain, SeriesDescription=text, ViewPosition="AP") == "not_a_chest", text
    refusal = check_header(header(plain, ProtocolName="KNEE AP", ViewPosition="AP"), DEFAULT)
    assert refusal is not None
    assert refusal.detail == (
        "ProtocolName names a body part other than the chest, although BodyPartExamined names the "
        "chest."
    )
    assert read(plain, SeriesDescription="Chest PA, rib fx", ViewPosition="PA") == "PA"


@pytest.mark.parametrize(
    ("code", "meaning", "expected"),
    [
        ("816094009", "Chest", "PA"),
        ("816094009", "", "PA"),
        ("122495006", "Thoracic spine", "not_a_chest"),
        ("818981001", "Abdomen", "not_a_chest"),
        ("816094009", "Knee", "not_a_chest"),
        ("122494006", "", "body_part_not_understood"),
    ],
)
def test_a_region_counts_with_its_meaning_also_beside_a_chest(code, meaning, expected, plain):
    region = [coded(code, "SCT", meaning)]
    for part in ("CHEST", ""):
        values = {"BodyPartExamined": part, "SeriesDescription": "Chest PA"}
        assert read(plain, AnatomicRegionSequence=region, **values) == expected


def test_a_placeholder_names_no_part_and_the_search_goes_on(plain):
    for _, text in written("silent"):
        assert read(plain, BodyPartExamined=text) == "body_part_unknown", text
        assert read(plain, BodyPartExamined=text, SeriesDescription="Chest PA") == "PA", text


def test_a_child_is_told_by_words_in_any_language(plain):
    for _, text in written("under_age"):
        assert read(plain, SeriesDescription=text, ViewPosition="AP") == "under_age", text


@pytest.mark.parametrize("said", ["Bone Suppression", "Soft Tissue", "Chest PA Bone", "Energy Sub"])
@pytest.mark.parametrize(
    "keyword",
    [
        "AcquisitionDeviceProcessingDescription",
        "ProtocolName",
        "PerformedProcedureStepDescription",
    ],
)
def test_a_picture_made_of_a_film_is_told_by_what_made_it(keyword, said, plain):
    assert read(plain, ViewPosition="PA", **{keyword: said}) == "derived"


def test_a_lateral_is_told_by_its_image_type(plain):
    assert read(plain, ImageType="ORIGINAL\\PRIMARY\\LATERAL", ViewPosition="PA") == "not_frontal"
    assert read(plain, ImageType="ORIGINAL\\PRIMARY\\L\\R", ViewPosition="PA") == "PA"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("LAT\u2116 2", "not_frontal"),
        ("L\u00adA\u00adT", "not_frontal"),
        ("Chest 5yo", "under_age"),
        ("Chest 1-5 yrs", "under_age"),
        ("Chest <10kg", "under_age"),
        ("Chest PA 64yo 80kg", "PA"),
    ],
)
def test_signs_and_the_ages_and_weights_of_children_are_read(said, expected, plain):
    assert read(plain, SeriesDescription=said, ViewPosition="PA") == expected


@pytest.mark.parametrize(
    "kind", ["BS", "COMPANION", "INVERTED", "EDGE_ENHANCED", "BONE_SUPPRESSED"]
)
def test_a_derived_picture_is_told_by_its_image_type(kind, plain):
    assert read(plain, ImageType=f"DERIVED\\PRIMARY\\{kind}", ViewPosition="PA") == "derived"


def test_how_a_film_was_processed_makes_it_no_derived_picture(plain):
    for text in ("Edge enhanced", "Kantenanhebung", "LUT inverted", "Rehaussement des contours"):
        assert read(plain, DerivationDescription=text, ViewPosition="PA") == "PA", text


def test_a_letter_behind_the_chest_is_no_view_but_what_stands_elsewhere_counts(plain):
    assert read(plain, BodyPartExamined="THORAX S") == "view_not_understood"
    assert read(plain, BodyPartExamined="THORAX S", ViewPosition="PA") == "PA"
    assert read(plain, BodyPartExamined="THORAX S", ViewPosition="LAT") == "not_frontal"


@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
@pytest.mark.parametrize(
    "said",
    ["Chest_L", "Chest L", "Thorax s.", "Thorax li", "Chest LT", "Torax P", "胸部L"],
)
def test_a_series_of_a_chest_and_a_side_alone_is_not_taken_for_the_pa_of_a_console(
    said, keyword, plain
):
    for view in ("", "PA", "AP"):
        found = read(plain, ViewPosition=view, **{keyword: said})
        assert found in ("view_not_understood", "not_frontal"), view
    assert read(plain, SeriesDescription=said, ProtocolName="Chest PA") != "not_frontal"


def test_a_name_that_is_only_a_kind_of_processing_is_none_of_a_film(plain):
    for text in ("TUBE", "Tube/Line", "B.S.", "DES"):
        assert read(plain, SeriesDescription=text, ViewPosition="PA") == "derived", text
        assert read(plain, SeriesDescription=f"Chest {text} PA", ProtocolName="x") != "unknown"
    for text in ("Chest PA tube", "line placement", "Chest AP lines", "AP for NG tube"):
        assert read(plain, SeriesDescription=text, ViewPosition="AP") in ("PA", "AP", "frontal"), (
            text
        )


YOUNG = [
    "Chest 10y", "Chest 12 yr", "Chest 4 years old", "Chest 6 months", "Chest <1y", "Chest under 5",
    "Thorax 5 Jahre", "Thorax 3 ans", "Tórax 8 años", "Torace 4 anni", "胸部 5歳", "胸部 6か月",
]  # fmt: skip


def test_an_age_in_words_is_a_childs_where_no_other_is_stated(plain):
    silent = {"PatientAge": "", "PatientBirthDate": "", "ViewPosition": "AP"}
    for text in YOUNG:
        assert read(plain, SeriesDescription=text, **silent) == "under_age", text
        adult = read(plain, SeriesDescription=text, **silent | {"PatientAge": "064Y"})
        assert adult == "AP" or "歳" in text, text
    for text in (
        "FU 6 months",
        "3 months post op",
        "Chest AP 64 years",
        "control 2 years",
        "AP 12 h",
    ):
        assert read(plain, SeriesDescription=text, **silent) == "AP", text


@pytest.mark.parametrize(
    "values",
    [
        {"PatientAge": "<18"},
        {"PatientAge": "< 18Y"},
        {"PatientBirthDate": "民國104年", "StudyDate": "20240101"},
        {"PatientBirthDate": "民國104年3月5日", "StudyDate": "20240101"},
    ],
)
def test_more_ways_to_be_under_age(values, plain):
    values = {"PatientAge": "", "PatientBirthDate": "", "AcquisitionDate": "20240101"} | values
    assert read(plain, ViewPosition="PA", **values) == "under_age"


def test_a_number_of_images_is_no_three_quarter_view(plain):
    for text in ("Chest PA 3 of 4", "Chest PA 3.4", "Chest PA 13/4", "Chest PA 3/4/2024"):
        assert read(plain, SeriesDescription=text) == "PA", text
