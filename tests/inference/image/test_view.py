"""What senders write of view, body part, kind of picture and age, and what hilum makes of it."""

import itertools

import pytest
from films import coded, make_film_ds
from headers import DEFAULT, header, outcome, silent_header
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from inference.image.age import age_years
from inference.image.body_part import BodyPart, body_part_of
from inference.image.derived import derived_by
from inference.image.gate import Reason, check_header
from inference.image.gate_settings import GateSettings
from inference.image.limitations import limitations_of
from inference.image.tokens import words_of
from inference.image.view import FRONTAL, View, view_of
from inference.image.vocabulary import Concept, vocabulary

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's on values that are odd


@pytest.fixture(scope="module")
def plain() -> Dataset:
    """Return the header of a chest film that says nothing of its view."""
    return silent_header()


# what stands in View Position -> the view that is read, or the view for which the film is refused
POSITIONS = {
    # frontal
    "PA": "PA",
    "pa": "PA",
    "CHEST PA": "PA",
    "PA ERECT": "PA",
    "PA_STANDING": "PA",
    "P.A.": "PA",
    "P/A": "PA",
    "POSTEROANTERIOR": "PA",
    "POSTERO-ANT": "not understood",
    "POST-ANT": "PA",
    "THORAXPA": "PA",
    "后前位": "PA",
    "AP": "AP",
    "CHEST AP": "AP",
    "AP PORTABLE": "AP",
    "AP SUPINE": "AP",
    "PORT AP": "AP",
    "ANTERO POSTERIOR": "AP",
    "Supine": "AP",
    "Rückenlage": "AP",
    "A to P": "AP",
    "P to A": "PA",
    "PAAC": "PA",
    "PA LEFT MARKER": "PA",
    "LIEGEND": "AP",
    "AP SEMI ERECT": "AP",
    "PA/AP": "frontal",
    "FRONTAL": "frontal",
    "FACE": "frontal",
    "正面": "frontal",
    # refused
    "LATERAL": "lateral",
    "LEFT LATERAL": "lateral",
    "LAT": "lateral",
    "LLAT": "lateral",
    "L LAT": "lateral",
    "LT LAT": "lateral",
    "LL": "lateral",
    "RL": "lateral",
    "LL ERECT": "lateral",
    "XTABLE LATERAL": "lateral",
    "X-TABLE": "lateral",
    "CROSSTABLE LAT": "lateral",
    "LATERAL SUPINE": "lateral",
    "ChestLat": "lateral",
    "CHESTLAT": "lateral",
    "PERFIL": "lateral",
    "PROFIL": "lateral",
    "seitl.": "lateral",
    "SEITLICH": "lateral",
    "LATERALE": "lateral",
    "DWARS": "lateral",
    "BOCZNE": "lateral",
    "БОКОВАЯ": "lateral",
    "YAN": "lateral",
    "側面": "lateral",
    "侧位": "lateral",
    "LLD": "decubitus",
    "AP LLD": "decubitus",
    "LATERAL DECUB": "decubitus",
    "LT DECUBITUS": "decubitus",
    "RPO": "oblique",
    "LAO": "oblique",
    "OBLIQUE": "oblique",
    "PA OBL": "oblique",
    "SCHRÄG": "oblique",
    "AP AXIAL": "lordotic",
    "Lordotic": "lordotic",
    "APICAL": "lordotic",
    "L.L.": "lateral",
    "links anliegend": "lateral",
    "2. Ebene": "lateral",
    "SHOOT-THROUGH": "lateral",
    "MEDIOLATERAL": "lateral",
    "UKOŚNE": "oblique",
    "OAD": "oblique",
    "LAURELL": "decubitus",
    "LORDOSIS": "lordotic",
    "SZCZYTOWE": "lordotic",
    "PA LAT": "view_unknown",
    "PA/L": "view_unknown",
    "PA+LAT": "view_unknown",
    "2 VIEWS": "view_unknown",
    # there, and not understood
    "XYZ": "not understood",
    "POS3": "not understood",
    "BUCKY SIDEWAYS": "not understood",
    "LEFT": "not understood",  # a left lateral, most likely
    "R-L": "lateral",
    "左側": "not understood",
    "SAG": "not understood",
    # there, and saying nothing
    "": "unknown",
    "-": "unknown",
    "UNKNOWN": "unknown",
    "OTHER": "unknown",
    "ERECT": "unknown",
    "1": "unknown",
    # words that are no placeholders
    "DX": "not understood",
    "RO": "not understood",
    "POST": "not understood",
    "X": "not understood",
    "O": "not understood",
    "2": "not understood",
    "V2": "not understood",
    "NORMAL": "not understood",
    "BILATERAL": "not understood",
}


@pytest.mark.parametrize(("said", "expected"), POSITIONS.items())
def test_view_position_is_read_as_it_is_written(said, expected, plain):
    ds = header(plain, ViewPosition=said, SpecificCharacterSet="ISO_IR 192")
    refused = {"view_unknown": Reason.VIEW_UNKNOWN, "not understood": Reason.VIEW_NOT_UNDERSTOOD}
    view = View(expected) if expected not in refused else None
    refusal = check_header(ds, DEFAULT)
    if view in FRONTAL:
        assert refusal is None
        assert view_of(ds).view is view
        return
    assert refusal is not None
    assert refusal.reason is refused.get(expected, Reason.NOT_FRONTAL)
    if view is not None:
        assert refusal.detail == f"The header says {view} (ViewPosition {said})."
    if expected == "not understood":
        assert refusal.detail == f"The view is stated as '{said}', not understood (ViewPosition)."


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("CHEST PA", "PA"),
        ("CHEST LLAT", "not_frontal"),
        ("Thorax seitl. li.", "not_frontal"),
        ("Thorax p.a. stehend", "PA"),
        ("Thorax de face, au lit", "frontal"),
        ("Rx tórax perfil", "not_frontal"),
        ("TORACE LL", "not_frontal"),
        ("X-thorax voorachterwaarts liggend", "AP"),
        ("RTG klatki piersiowej bok", "not_frontal"),
        ("Рентгенография ОГК в прямой проекции", "frontal"),
        ("Akciğer grafisi yan", "not_frontal"),
        ("胸部X線 側面", "not_frontal"),
        ("胸部X線 正面", "frontal"),
        ("DX Chest 2 views", "view_unknown"),
        ("Thorax in 2 Ebenen", "view_unknown"),
        ("Chest 1 view", "unknown"),
        ("RX TORACE 2P", "view_unknown"),
        ("X-thorax 2R", "view_unknown"),
        ("Thorax F+P", "view_unknown"),
        ("ОГК 2 пр.", "view_unknown"),
        ("胸部二方向", "view_unknown"),
        ("胸部正侧位", "view_unknown"),
        ("胸部側", "not_frontal"),
        ("Thorax 2. Ebene", "not_frontal"),
        ("Chest PA, laterality B", "PA"),
        ("Chest PA apices included", "PA"),
        ("AP, R/O PX", "AP"),
        ("CHEST SPECIAL", "unknown"),
        ("bilateral effusion control", "unknown"),
    ],
)
@pytest.mark.parametrize(
    "keyword", ["SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription"]
)
def test_free_text_speaks_where_no_field_does(keyword, said, expected, plain):
    ds = header(plain, SpecificCharacterSet="ISO_IR 192", **{keyword: said})
    assert outcome(ds) == expected


def test_codes_are_read_by_code_and_by_meaning_and_with_their_modifiers(plain):
    def item(code, scheme, meaning, *modifiers):
        made = coded(code, scheme, meaning)
        made.ViewModifierCodeSequence = [coded("M", "99X", one) for one in modifiers]
        return header(plain, ViewCodeSequence=[made])

    assert outcome(item("272479007", "SCT", "postero-anterior")) == "PA"
    assert outcome(item("LAT", "99PHIL", "Lateral")) == "not_frontal"
    assert outcome(item("99", "99X", "Chest AP")) == "AP"
    assert outcome(item("99", "99X", "Specials")) == "view_not_understood"
    assert outcome(item("272479007", "SCT", "postero-anterior", "Lordotic")) == "not_frontal"
    assert outcome(item("399348003", "SCT", "antero-posterior", "Crosstable")) == "not_frontal"


def code_item(code, scheme, meaning, *modifiers):
    made = coded(code, scheme, meaning)
    made.ViewModifierCodeSequence = [coded(*one) for one in modifiers]
    return made


PA_CODE, AP_CODE = ("272479007", "SCT"), ("399348003", "SCT")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        # a code and its meaning agree, or the code is not understood
        (code_item(*PA_CODE, "left lateral"), "not_frontal"),
        (code_item("R-10214", "SRT", "left lateral"), "not_frontal"),
        (code_item("399067008", "SCT", "postero-anterior"), "not_frontal"),
        (code_item(*AP_CODE, "postero-anterior"), "view_not_understood"),
        (code_item(*PA_CODE, "Qwertz"), "view_not_understood"),
        (code_item(*PA_CODE, "frontal"), "PA"),
        (code_item("272479007", "99ACME", ""), "view_not_understood"),
        (code_item("272479007", "99ACME", "left lateral"), "not_frontal"),
        # a code that is not understood is not absent
        (code_item("r-10236", "SRT", ""), "not_frontal"),
        (code_item("R-10212", "SRT", ""), "not_frontal"),
        (code_item("R-10210", "SRT", ""), "not_frontal"),
        (code_item("R-10228", "SRT", ""), "not_frontal"),
        (code_item("399242004", "SCT", "acanthioparietal"), "view_not_understood"),
        (code_item("399071006", "SCT", ""), "view_not_understood"),
        (code_item("260499007", "SCT", "Occlusal projection"), "view_not_understood"),
        (code_item("119376003", "SCT", "tissue specimen"), "view_not_understood"),
        # modifiers by their code alone
        (code_item(*AP_CODE, "", ("102536004", "SCT", "")), "not_frontal"),
        (code_item(*AP_CODE, "", ("399182000", "SCT", "")), "not_frontal"),
        (code_item(*AP_CODE, "", ("111069", "DCM", "")), "not_frontal"),
        (code_item(*AP_CODE, "", ("399196006", "SCT", "")), "not_frontal"),
        (code_item(*AP_CODE, "", ("G-D00B", "SRT", "")), "view_not_understood"),
        (code_item(*AP_CODE, "", ("286866000", "SCT", "Mouth closed")), "view_not_understood"),
        (code_item(*AP_CODE, "", ("1", "99X", "Xyz")), "view_not_understood"),
        (code_item(*AP_CODE, "", ("40199007", "SCT", "")), "AP"),
        (code_item(*AP_CODE, "", ("1", "99X", "Erect")), "AP"),
    ],
)
def test_a_code_counts_with_its_meaning_and_its_modifiers_whatever_view_position_says(
    item, expected, plain
):
    assert outcome(header(plain, ViewCodeSequence=[item])) == expected
    beside = outcome(header(plain, ViewCodeSequence=[item], ViewPosition="AP"))
    assert beside == expected


def test_a_long_code_is_read_and_an_orientation_not_understood_is_not_absent(plain):
    item = Dataset()
    item.LongCodeValue, item.CodingSchemeDesignator = "399067008", "SCT"
    assert outcome(header(plain, ViewCodeSequence=[item], ViewPosition="PA")) == "not_frontal"
    for said in ("A\\F\\L", "L\\A", "ALF", "A"):
        ds = header(plain, PatientOrientation=said, ViewPosition="PA")
        assert outcome(ds) == "view_not_understood", said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("L\\F", "frontal"),
        ("L/F", "frontal"),
        ("LF", "frontal"),
        ("LEFT\\FOOT", "frontal"),
        ("A\\F", "not_frontal"),
        ("P/F", "not_frontal"),
        ("AF", "not_frontal"),
        ("F\\L", "not_upright"),
        ("L", "view_not_understood"),
        ("Q\\Z", "view_not_understood"),
        ("", "unknown"),
        ("UNKNOWN", "unknown"),
        ("X\\Y", "view_not_understood"),
        ("A\\F\\L", "view_not_understood"),
        ("N/A", "unknown"),
    ],
)
def test_patient_orientation_is_read_in_its_usual_forms(said, expected, plain):
    assert outcome(header(plain, PatientOrientation=said)) == expected


def test_what_says_lateral_of_the_image_is_believed_over_a_default_that_says_frontal(plain):
    ds = header(plain, ViewPosition="PA", SeriesDescription="CHEST LATERAL")
    refusal = check_header(ds, DEFAULT)
    assert refusal is not None
    assert refusal.reason is Reason.NOT_FRONTAL
    assert "SeriesDescription" in refusal.detail
    assert "although ViewPosition says frontal" in refusal.detail
    assert outcome(header(plain, ViewPosition="PA", PatientOrientation="A\\F")) == "not_frontal"
    # that the study has a lateral too says nothing of this film
    assert outcome(header(plain, ViewPosition="PA", StudyDescription="CHEST PA/LAT")) == "PA"
    assert outcome(header(plain, ViewPosition="PA", StudyDescription="CHEST LATERAL")) == "PA"
    assert outcome(header(plain, ViewPosition="PA", SeriesDescription="胸部正侧位")) == "PA"


def test_free_text_does_not_stand_for_a_view_that_is_not_understood(plain):
    ds = header(plain, ViewPosition="XYZ", SeriesDescription="CHEST PA")
    assert outcome(ds) == "view_not_understood"
    allowed = GateSettings(not_understood="analyse")
    assert check_header(ds, allowed) is None
    assert "view stated, but not understood" in limitations_of(ds)


# Body Part Examined -> what is made of it
PARTS = {
    "CHEST": "chest",
    "CHEST PA": "chest",
    "CHEST_PA": "chest",
    "PORT CHEST": "chest",
    "PORTABLE_CHEST": "chest",
    "CHEST 2 VIEW": "chest",
    "CXR": "chest",
    "TORAX": "chest",
    "Tórax": "chest",
    "TORACE": "chest",
    "Brust": "chest",
    "Thorax^Lunge": "chest",
    "POUMON": "chest",
    "POUMONS": "chest",
    "LUNG": "chest",
    "KLATKA PIERSIOWA": "chest",
    "ОРГАНЫ ГРУДНОЙ КЛЕТКИ": "chest",
    "AKCİĞER": "chest",
    "胸部": "chest",
    "ABDOMEN\\CHEST": "chest",
    "HEART": "chest",
    "PCXR": "chest",
    "KL. PIERSIOWA": "chest",
    "AC GRAFİSİ": "chest",
    "CORAZÓN": "chest",
    "UNKNOWN": "silent",
    "OTHER": "silent",
    "-": "silent",
    "N/A": "silent",
    "XRAY": "silent",
    "BODY PART": "silent",
    "SONSTIGES": "silent",
    "DİĞER": "silent",
    "其它": "silent",
    "": "silent",
    "ABDOMEN": "other",
    "HAND": "other",
    "LSPINE": "other",
    "THORACIC SPINE": "other",
    "TSPINE": "other",
    "BRUSTWIRBELSÄULE": "other",
    "BWS": "other",
    "RIB": "other",
    "FACE": "other",
    "BREAST": "other",
    "KNEE LEFT": "other",
    "CHESTABDOMEN": "other",
    "BRAÇO": "other",
    "BEIN": "other",
    "足": "other",
    "GIZMO": "not understood",
}


@pytest.mark.parametrize(("said", "expected"), PARTS.items())
def test_body_part_examined_is_read_by_words(said, expected, plain):
    ds = header(plain, BodyPartExamined=said, SpecificCharacterSet="ISO_IR 192", ViewPosition="PA")
    expected_reason = {
        "chest": None,
        "silent": Reason.BODY_PART_UNKNOWN,
        "other": Reason.NOT_A_CHEST,
        "not understood": Reason.BODY_PART_NOT_UNDERSTOOD,
    }[expected]
    refusal = check_header(ds, DEFAULT)
    assert (refusal.reason if refusal else None) is expected_reason
    if expected == "silent":  # the search goes on
        ds.SeriesDescription = "XR Chest"
        assert check_header(ds, DEFAULT) is None


def test_a_view_that_is_named_as_the_body_part_counts(plain):
    assert outcome(header(plain, BodyPartExamined="CHEST LAT")) == "not_frontal"
    assert outcome(header(plain, BodyPartExamined="CHEST_AP")) == "AP"


@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": "DERIVED\\PRIMARY\\\\BONE"},
        {"ImageType": "DERIVED\\PRIMARY\\SOFT_TISSUE"},
        {"ImageType": "DERIVED\\SECONDARY\\TUBE"},
        {"ImageType": "DERIVED\\PRIMARY\\CHEST\\DES"},
        {"ImageType": "DERIVED\\BONE"},
        {"SeriesDescription": "Chest BSI"},
        {"SeriesDescription": "胸部 骨部画像"},
        {"SeriesDescription": "Мягкие ткани"},
        {"SeriesDescription": "tkanki miękkie"},
        {"SeriesDescription": "CHEST PA BONE"},
        {"SeriesDescription": "Chest PA - Bone Suppressed"},
        {"SeriesDescription": "Thorax pa Weichteilbild"},
        {"SeriesDescription": "CHEST TUBE/LINE"},
        {"SeriesDescription": "Chest PA CAD"},
        {"SeriesDescription": "CHEST ENHANCED"},
        {"DerivationDescription": "Dual energy subtraction, bone"},
        {"DerivationDescription": "temporal subtraction"},
        {"DerivationCodeSequence": [coded("113062", "DCM", "Pixel by pixel subtraction")]},
        {"DerivationCodeSequence": [coded("X1", "99X", "Bone suppression")]},
    ],
)
def test_a_picture_made_of_a_film_is_not_read_as_one(values, plain):
    refusal = check_header(header(plain, ViewPosition="PA", **values), DEFAULT)
    assert refusal is not None
    assert refusal.reason is Reason.DERIVED
    assert refusal.detail.startswith(f"{next(iter(values))} says that this picture was made")


@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": "DERIVED\\PRIMARY"},
        {"ImageType": "ORIGINAL\\PRIMARY\\\\RT\\\\\\\\\\150000"},
        {"ImageType": "DERIVED\\PRIMARY\\POST_PROCESSED"},
        {"DerivationDescription": "Edge enhancement, unsharp mask"},
        {"DerivationDescription": "Multi-scale detail enhancement"},
        {"DerivationDescription": "Grid line suppression, scatter suppression"},
        {"DerivationDescription": "Offset subtraction"},
        {"SeriesDescription": "CHEST AP FOR TUBE AND LINE PLACEMENT"},
        {"SeriesDescription": "胸部 骨折疑い"},
        {"DerivationDescription": "DMJ2K 7.0.0.25"},
        {"DerivationDescription": "G1.2e#1.60-0.10,MCR2.0AN0.4"},
        {"DerivationCodeSequence": [coded("113040", "DCM", "Lossy Compression")]},
        {"SeriesDescription": "CHEST TUBE PLACEMENT"},
        {"SeriesDescription": "Thorax des poumons"},
    ],
)
def test_a_film_that_was_only_processed_anew_is_read(values, plain):
    assert derived_by(header(plain, ViewPosition="PA", **values)) == ""


# Patient's Age, birth date -> years (the film is of 2024-01-02)
AGES = [
    ("5 Y", "", 5),
    ("5 YEARS", "", 5),
    ("060", "", 60),
    ("60 Jahre", "", 60),
    ("45 ans", "", 45),
    ("35 лет", "", 35),
    ("70岁", "", 70),
    ("Y064", "", 64),
    ("8 Mon.", "", 0.67),
    ("6 MONTHS", "", 0.5),
    ("2 AY", "", 0.167),
    ("3 weeks", "", 0.058),
    ("25 jours", "", 0.068),
    ("3 hafta", "", 0.058),
    ("18个月", "", 1.5),
    ("5才", "", 5),
    ("6 H", "", 0),
    ("5 years old", "", 5),
    ("5 y/o", "", 5),
    ("1Y 3M", "", 1.25),
    ("62.5Y", "", 62.5),
    ("000Y", "19400305", 83.8),
    ("000D", "", 0),
    ("064Y", "20150101", 9.0),
    ("", "1940-03-05", 83.8),
    ("", "1940.03.05", 83.8),
    ("", "5.3.1940", 83.0),
    ("", "03/05/1940", 83.0),
    ("", "1940", 83.0),
    ("", "194003", 83.0),
    ("", "5-MAR-1940", 83.0),
    ("", "19400305120000", 83.8),
    ("", "1940-03-05T00:00:00", 83.8),
    ("", "1940年3月5日", 83.8),
    ("", "19400000", 83.0),
    ("", "5e3f", None),
    ("old", "", None),
    # more than one age: the youngest
    ("15-16Y", "", 15),
    ("16-17Y", "", 16),
    ("10-12Y", "", 10),
    ("10~15", "", 10),
    ("64-70 Y", "", 64),
    ("005Y\\064Y", "", 5),
    ("18ヶ月", "", 1.5),
    ("18ケ月", "", 1.5),
    ("1歳6ヶ月", "", 1.5),
    ("64歳3か月", "", 64.25),
    ("5 л", "", 5),
    ("5/F", "", 5),
    ("64/M", "", 64),
    ("64F", "", 64),
    # more than one date: the latest that is none of the future
    ("", "190305", 4.0),
    ("", "05032019", 4.0),
    ("", "05031940", 83.0),
    ("", "20101990", 33.0),
    ("", "05/03/19", 4.0),
    ("", "05.03.40", 83.0),
    ("", "12.04.31", 92.0),
    ("", "5-3-19", 4.0),
    ("", "400305", 83.0),
    ("", "H31.3.5", 4.0),
    ("", "S15.3.5", 83.0),
    ("", "平成31年3月5日", 4.0),
    ("", "令和元年5月5日", 4.0),
    ("", "昭和15年3月5日", 83.0),
    ("", "２０１９０３０５", 4.8),
    ("", "25620305", 4.0),
    ("", "24830305", 83.0),
    ("", "1397/05/14", 4.0),
    ("", "2019064", 4.0),
    ("", "20191301", 4.0),
    ("", "Mar-19", 4.0),
    ("", "05MAR19", 4.0),
    ("", "5. März 1940", 83.0),
    ("", "20190305\\19400305", 4.8),
    ("", "2024", 0),
    ("018Y", "19.03.05", 18),
    ("", "19000101", None),
    ("", "20250102", None),
]


def test_a_birth_date_that_is_not_understood_is_not_said_to_be_absent(plain):
    def notes(**values):
        return {
            one for one in limitations_of(header(plain, PatientAge="", **values)) if "stated" in one
        }

    for born in ("19000101", "qq12", "99991231", "d14a028c2a3a2bc9"):
        assert "birth date stated, but not understood" in notes(PatientBirthDate=born)
        assert "age not stated" not in notes(PatientBirthDate=born)
    for born in ("", "00000000", "unknown"):
        assert "age not stated" in notes(PatientBirthDate=born)


@pytest.mark.parametrize("age", ["newborn", "Kind", "PED", "小児"])
def test_an_age_in_words_is_a_childs_where_they_speak_of_one(age, plain):
    ds = header(plain, PatientAge=age, PatientBirthDate="", SpecificCharacterSet="ISO_IR 192")
    assert outcome(ds) == "under_age"


def test_a_child_is_told_by_what_was_asked_for_and_by_view_position(plain):
    asked = Dataset()
    asked.RequestedProcedureDescription = "CHEST CHILD"
    said = coded("1", "99X", "CHEST PEDIATRIC")
    for values in (
        {"RequestAttributesSequence": [asked]},
        {"ProcedureCodeSequence": [said]},
        {"PerformedProtocolCodeSequence": [said]},
        {"ViewPosition": "AP CHILD"},
    ):
        assert outcome(header(plain, **values)) == "under_age"


@pytest.mark.parametrize(("age", "born", "years"), AGES)
def test_an_age_is_understood_as_it_is_written(age, born, years, plain):
    values = {"PatientAge": age, "PatientBirthDate": born, "SpecificCharacterSet": "ISO_IR 192"}
    found = age_years(header(plain, **values))
    assert found == (None if years is None else pytest.approx(years, abs=0.1))


@pytest.mark.parametrize(
    ("said", "child"),
    [
        ("Chest paed AP", True),
        ("PEDIATRIC CHEST", True),
        ("Thorax Kind", True),
        ("CHEST CHILD", True),
        ("Radio thorax enfant", True),
        ("NICU portable", True),
        ("小児 胸部", True),
        ("Chest adult/child", False),
        ("CHEST KIND OF REPEAT", False),
    ],
)
def test_a_description_that_speaks_of_a_child_counts(said, child, plain):
    ds = header(plain, ViewPosition="AP", SpecificCharacterSet="ISO_IR 192", ProtocolName=said)
    refusal = check_header(ds, DEFAULT)
    assert (refusal is not None and refusal.reason is Reason.UNDER_AGE) is child
    assert check_header(ds, GateSettings(minimum_age_years=0)) is None


def test_a_site_teaches_its_own_words(plain):
    words = {"THX STEHEND": "PA", "Schrank 2": "lateral", "Bruststück": "chest", "XYZ": "nothing"}
    taught = GateSettings.model_validate({"words": words})
    assert outcome(header(plain, ViewPosition="thx-stehend"), taught) == "PA"
    assert outcome(header(plain, ViewPosition="SCHRANK2"), taught) == "not_frontal"
    assert outcome(header(plain, ViewPosition="XYZ"), taught) == "unknown"
    part = body_part_of(header(plain, BodyPartExamined="BRUSTSTUECK"), taught.vocabulary)
    assert part.part is not BodyPart.CHEST  # "ue" is another spelling: a word of its own
    bone = GateSettings.model_validate({"words": {"bone": "nothing"}})
    assert outcome(header(plain, SeriesDescription="CHEST BONE"), bone) == "unknown"


@pytest.mark.parametrize("words", [{"--": "PA"}, {"X": "sideways"}, {"X": "count"}])
def test_a_site_cannot_teach_what_means_nothing(words):
    with pytest.raises(ValidationError):
        GateSettings.model_validate({"words": words})


VIEW_CASES = [
    ({"view": "PA"}, View.PA, "ViewCodeSequence"),
    ({"view": "AP"}, View.AP, "ViewCodeSequence"),
    ({"view": "LL"}, View.LATERAL, "ViewCodeSequence"),
    ({"view": "PA", "ViewCodeSequence": None}, View.PA, "ViewPosition"),
    ({"view": "", "ViewPosition": "RLO"}, View.OBLIQUE, "ViewPosition"),
    ({"view": "", "PatientOrientation": ["L", "F"]}, View.FRONTAL, "PatientOrientation"),
    ({"view": "", "PatientOrientation": ["A", "F"]}, View.LATERAL, "PatientOrientation"),
    ({"view": "", "PatientOrientation": ""}, View.UNKNOWN, ""),
    (
        {"view": "", "PatientOrientation": "", "SeriesDescription": "Thorax p.a."},
        View.PA,
        "SeriesDescription",
    ),
    (
        {"view": "", "PatientOrientation": ["L", "F"], "ProtocolName": "CHEST_LAT"},
        View.LATERAL,
        "ProtocolName",
    ),
    (
        {"view": "", "PatientOrientation": "", "StudyDescription": "CHEST PA/LAT"},
        View.UNKNOWN,
        "StudyDescription",
    ),
    (
        {"view": "", "PatientOrientation": "", "StudyDescription": "XR CHEST 2 VIEWS"},
        View.UNKNOWN,
        "StudyDescription",
    ),
    (
        {"view": "", "PatientOrientation": ["L", "F"], "StudyDescription": "CHEST PA/LAT"},
        View.FRONTAL,
        "PatientOrientation",
    ),
]


@pytest.mark.parametrize(("options", "view", "where"), VIEW_CASES)
def test_the_view_is_read_from_the_most_reliable_element(options, view, where):
    stated = view_of(make_film_ds(**options))
    assert (stated.view, stated.keyword) == (view, where)


@pytest.mark.parametrize(
    ("code", "scheme", "view"),
    [
        ("399348003", "SCT", View.AP),  # not PA, whatever lists say
        ("272479007", "SCT", View.PA),
        ("R-10214", "SRT", View.PA),
        ("R-10206", "SRT", View.AP),
        ("R-102CD", "SRT", View.LATERAL),
        ("399182000", "SCT", View.OBLIQUE),
    ],
)
def test_view_codes_mean_what_the_standard_says(code, scheme, view):
    ds = make_film_ds(view="", PatientOrientation="", ViewCodeSequence=[coded(code, scheme, "")])
    stated = view_of(ds)
    assert (stated.view, stated.keyword) == (view, "ViewCodeSequence")


BODY_PART_CASES = [
    ({}, BodyPart.CHEST, "BodyPartExamined"),
    ({"BodyPartExamined": "HAND"}, BodyPart.OTHER, "BodyPartExamined"),
    ({"BodyPartExamined": ""}, BodyPart.CHEST, "AnatomicRegionSequence"),
    (
        {
            "BodyPartExamined": None,
            "AnatomicRegionSequence": [coded("T-15710", "SRT", "Knee joint")],
        },
        BodyPart.OTHER,
        "AnatomicRegionSequence",
    ),
    (
        {"BodyPartExamined": "", "AnatomicRegionSequence": []},
        BodyPart.CHEST,
        "SeriesDescription",
    ),
    (
        {
            "BodyPartExamined": "",
            "AnatomicRegionSequence": [],
            "SeriesDescription": "Thoracic spine",
        },
        BodyPart.OTHER,
        "SeriesDescription",
    ),
    (
        {
            "BodyPartExamined": "",
            "AnatomicRegionSequence": [],
            "SeriesDescription": "",
            "StudyDescription": "",
        },
        BodyPart.UNKNOWN,
        "",
    ),
]


@pytest.mark.parametrize(("options", "part", "where"), BODY_PART_CASES)
def test_the_body_part_is_read_from_the_most_reliable_element(options, part, where):
    stated = body_part_of(make_film_ds(**options))
    assert (stated.part, stated.keyword) == (part, where)


LISTED = {concept: [] for concept in Concept}
for phrase, concepts in vocabulary()._phrases.items():
    if not phrase[-1].endswith("*"):
        for concept in concepts:
            LISTED[concept].append(" ".join(phrase))
NOT_READ = [*LISTED[Concept.LATERAL], *LISTED[Concept.OBLIQUE], *LISTED[Concept.LORDOTIC]]
NOT_READ += LISTED[Concept.DECUBITUS]
BESIDE = [*LISTED[Concept.CHEST], *LISTED[Concept.NOTHING], *LISTED[Concept.PORTABLE]]
BESIDE += [*LISTED[Concept.PA], *LISTED[Concept.AP], *LISTED[Concept.SUPINE]]
SEPARATORS = st.sampled_from([" ", "_", "-", "/", ", ", ".", " (", ") ", "^", "  ", "+", ":"])


@st.composite
def spelling(draw):
    """Spell a view that is not read, among other words, with any separators and case."""
    beside = draw(st.lists(st.sampled_from(BESIDE), max_size=3))
    at = draw(st.integers(0, len(beside)))
    words = [*beside[:at], draw(st.sampled_from(NOT_READ)), *beside[at:]]
    between = [draw(SEPARATORS) for _ in words]
    text = "".join(itertools.chain(*zip(words, between, strict=True)))
    return draw(st.sampled_from([str.upper, str.lower, str.title, str]))(text)


@settings(max_examples=400, deadline=None)
@given(text=spelling(), keyword=st.sampled_from(["ViewPosition", "SeriesDescription"]))
def test_no_spelling_turns_a_stated_lateral_into_a_frontal_film(text, keyword):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    raw = text.encode()
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, "LO", len(raw), raw, 0, False, True)
    stated = view_of(ds)
    assert stated.view not in (View.PA, View.AP, View.FRONTAL)
    assert stated.doubt or stated.view is not View.UNKNOWN


@given(st.text(max_size=40))
def test_any_text_is_read_and_every_word_of_it_is_understood_or_named(text):
    said = vocabulary().read(text)
    assert set(said.unknown) <= set(words_of(text))
