"""Are all objects valid, whatever film came in? Judged by dicom3tools, DCMTK and PixelMed.

Each axis is gone through in full: class and polarity by bits and sign, transfer syntaxes, character
sets, each attribute absent, odd values, what was found. Every film is decoded from its own bytes,
and every kind of object is made of it.
"""

import datetime as dt
import warnings
from dataclasses import replace

import pytest
from answers import (
    AT,
    CHARACTER_SETS,
    COLUMNS,
    NO_PICTURES,
    ROWS,
    answers,
    lut,
    not_analysed,
    prior_film,
    read_back,
    received,
    sent,
)
from films import make_film_ds
from invented import comparison, everything_positive, prediction
from pydicom import dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    SecondaryCaptureImageStorage,
)
from syntaxes import encoded
from validators import complaints, dciodvfy, pixelmed

from inference.cardiothoracic import CardiothoracicRatio, Line, RatioStatement
from inference.image.film import NotAFilm, read_film
from scp.config.results import ReportClass
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.results.kinds import KINDS
from scp.results.objects import to_bytes
from scp.results.series import Edition

CR, DX = ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation
SC, PROCESSING = SecondaryCaptureImageStorage, DigitalXRayImageStorageForProcessing


def film_file(folder, **film):
    path = folder / "film.dcm"
    path.write_bytes(sent(**film))
    return path


def wrong_with(objects, folder, source=None):
    """Return what the validators say of objects by kind: nothing of valid ones."""
    inherited = [] if source is None else dciodvfy(source)
    said = [(made.kind, complaints(made.ds, folder, inherited)) for made in objects]
    return {kind: lines for kind, lines in said if lines}


def test_every_kind_of_object_is_judged():
    made = [*answers(received(), prior_film()), not_analysed(received())]
    assert [one.kind for one in made] == [kind.name for kind in KINDS]


# -- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("sop_class", [CR, DX], ids=["cr", "dx"])
def test_objects_are_valid_for_every_class_polarity_and_depth(
    sop_class, photometric, bits, tmp_path
):
    film = {"sop_class": sop_class, "photometric": photometric, "bits_stored": bits}
    path = film_file(tmp_path, **film)
    assert wrong_with(answers(dcmread(path)), tmp_path, path) == {}


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize(
    ("sop_class", "photometric"), [(CR, "MONOCHROME1"), (DX, "MONOCHROME2")], ids=["cr", "dx"]
)
def test_objects_are_valid_for_signed_films(sop_class, photometric, bits, tmp_path):
    film = {"sop_class": sop_class, "photometric": photometric, "bits_stored": bits}
    path = film_file(tmp_path, signed=True, **film)
    assert wrong_with(answers(dcmread(path)), tmp_path, path) == {}


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_objects_are_valid_for_every_transfer_syntax(syntax, tmp_path):
    # 12-bit JPEG Extended has a decoder only where a site asks for it; 8 bits are read everywhere
    bits = 8 if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) else 12
    path = encoded(tmp_path, syntax, rows=ROWS, columns=COLUMNS, bits_stored=bits)
    ds = dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert wrong_with(answers(ds), tmp_path, path) == {}


# -- text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_objects_are_valid_and_name_the_patient_in_utf_8_for_every_character_set(name, tmp_path):
    path = film_file(tmp_path, **CHARACTER_SETS[name])
    source = dcmread(path)
    made = [*answers(source, prior_film(**CHARACTER_SETS[name])), not_analysed(source)]
    assert wrong_with(made, tmp_path, path) == {}
    for one in made:
        ds = read_back(one.ds)
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert ds.PatientName == CHARACTER_SETS[name]["patient_name"]


# -- attributes --------------------------------------------------------------------------------

# without these no film can be referred to, and the receiver takes none in
NEEDED_TO_REFER = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}
# without these nothing can be decoded: a film is not analysed, and may be said to be so
NEEDED_TO_DECODE = {
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "PixelRepresentation", "PixelData"),
}
# each attribute that a class of film has here, and a class that has it: CR before DX before SC
ATTRIBUTES = {
    element.keyword: sop_class
    for sop_class in (SC, DX, CR)
    for element in make_film_ds(rows=8, columns=8, issuer="HOSPITAL", sop_class=sop_class)
    if element.keyword not in NEEDED_TO_REFER
}


@pytest.mark.parametrize("keyword", sorted(set(ATTRIBUTES) - NEEDED_TO_DECODE))
def test_objects_are_valid_without_any_one_attribute(keyword, tmp_path):
    film = {"issuer": "HOSPITAL", "sop_class": ATTRIBUTES[keyword], keyword: None}
    path = film_file(tmp_path, **film)
    assert wrong_with(answers(dcmread(path)), tmp_path, path) == {}


@pytest.mark.parametrize("keyword", sorted(NEEDED_TO_DECODE))
def test_the_report_of_a_film_that_cannot_be_decoded_is_valid(keyword, tmp_path):
    path = film_file(tmp_path, sop_class=CR, **{keyword: None})
    with pytest.raises(NotAFilm):
        read_film(dcmread(path))
    assert wrong_with([not_analysed(dcmread(path))], tmp_path, path) == {}


TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber"),
    *("PatientOrientation", "ViewPosition"),
)
ODD = {
    "absent-type-2": {"sop_class": CR, **dict.fromkeys(TYPE_2)},
    "empty-type-2": {"sop_class": CR, **dict.fromkeys(TYPE_2, "")},
    "nothing-but-pixels": {"sop_class": CR, **dict.fromkeys(set(ATTRIBUTES) - NEEDED_TO_DECODE)},
    "secondary-capture": {"sop_class": SC, "photometric": "MONOCHROME1"},
    "for-processing": {"sop_class": PROCESSING},
    "lateral": {"view": "LL"},
    # who it is of: kept letter for letter, whatever it is
    "two-patient-ids": {"patient_id": "A\\B"},
    "empty-patient-id": {"patient_id": ""},
    "one-word-name": {"patient_name": "SINGLE"},
    "long-name": {"patient_name": "N" * 70 + "^X"},
    "long-accession-number": {"AccessionNumber": "A" * 20},
    "birth-year": {"PatientBirthDate": "1960"},
    "date-with-points": {"StudyDate": "2024.01.02", "StudyTime": "10:15:00"},
    # what else is said of patient and study
    "sex-u": {"PatientSex": "U"},
    "age-without-unit": {"PatientAge": "66"},
    "empty-age": {"PatientAge": ""},
    "long-description": {"StudyDescription": "x" * 80, "InstitutionName": "x" * 80},
    "empty-sequences": {
        **{"ProcedureCodeSequence": [], "ReferencedStudySequence": []},
        **{"OtherPatientIDsSequence": [], "RequestAttributesSequence": []},
    },
    "zone": {"TimezoneOffsetFromUTC": "+0900"},
    "no-zone": {"TimezoneOffsetFromUTC": "Z"},
    # the film
    "modality-in-small-letters": {"sop_class": CR, "Modality": "cr"},
    "body-part-in-small-letters": {"BodyPartExamined": "chest pa"},
    "empty-body-part": {"BodyPartExamined": ""},
    "zero-spacing": {"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": ["0", "0"]},
    "diagonal-orientation": {"PatientOrientation": ["L", "FR"]},
    "half-an-orientation": {"PatientOrientation": "L"},
    "no-window": {"WindowCenter": None, "WindowWidth": None},
    "empty-window": {"WindowCenter": "", "WindowWidth": ""},
    "two-windows": {"WindowCenter": ["2048", "1000"], "WindowWidth": ["4096", "500"]},
    "window-of-fractions": {"WindowCenter": "2047.123456789", "WindowWidth": "4095.12345"},
    "window-without-width": {"WindowWidth": "0"},
    "sigmoid-window": {"VOILUTFunction": "SIGMOID"},
    "exact-window": {"VOILUTFunction": "LINEAR_EXACT"},
    "rescaled-cr": {"sop_class": CR, "RescaleSlope": "2", "RescaleIntercept": "-5"},
    "slope-of-zero": {"RescaleSlope": "0"},
    "slope-alone": {"RescaleIntercept": None, "RescaleType": None},
    "voi-lut": {"VOILUTSequence": [lut(4096, 0)]},
    "signed-voi-lut": {"signed": True, "VOILUTSequence": [lut(4096, -2048)]},
    "modality-lut": {
        **{"ModalityLUTSequence": [lut(4096, 0, "OD")], "RescaleSlope": None},
        **{"RescaleIntercept": None, "RescaleType": None},
    },
    "padded": {"PixelPaddingValue": 0},
    "lossy": {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "12.5",
        "LossyImageCompressionMethod": "ISO_10918_1",
    },
    "lossy-twice": {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": ["2", "3"],
        "LossyImageCompressionMethod": ["ISO_15444_1", "ISO_10918_1"],
    },
    "lossy-somehow": {"LossyImageCompression": "01"},
}


@pytest.mark.parametrize("odd", ODD)
def test_objects_are_valid_for_odd_values(odd, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of the values when the film is made and read
        path = film_file(tmp_path, **ODD[odd])
        source = dcmread(path)
        made = [*answers(source, prior_film(**ODD[odd])), not_analysed(source)]
        assert wrong_with(made, tmp_path, path) == {}


def test_objects_are_valid_for_a_real_film(philips_film, tmp_path):
    made = [*answers(dcmread(philips_film), prior_film()), not_analysed(dcmread(philips_film))]
    assert wrong_with(made, tmp_path, philips_film) == {}


# -- what is said ------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [prediction({}), everything_positive()], ids=["none", "all"])
@pytest.mark.parametrize("comparable", [True, False], ids=["comparable", "not-comparable"])
def test_objects_are_valid_with_none_or_all_positive(found, comparable, tmp_path):
    compared = comparison(comparable=comparable, reason="another view")
    notes = ("A note.",)
    made = answers(received(), prior_film(), found=found, compared=compared, notes=notes)
    assert wrong_with(made, tmp_path) == {}


@pytest.mark.parametrize("report_class", ReportClass)
def test_reports_of_every_class_are_valid(report_class, tmp_path):
    how = {"report_class": report_class, "adoptable_outlines": True}
    made = answers(received(), prior_film(), **NO_PICTURES, **how)
    assert wrong_with([*made, not_analysed(received(), **how)], tmp_path) == {}


def second():
    """Every object of a second answer, whose report takes the place of a "not analysed" one."""
    before = not_analysed(received()).ds
    edition = Edition(2, 2, "it could not be analysed before", AT + dt.timedelta(hours=1), before)
    return answers(received(), prior_film(), edition=edition)


def test_every_object_of_a_second_answer_is_valid_and_has_its_own_time(tmp_path):
    made = second()
    assert wrong_with(made, tmp_path) == {}
    first = {one.kind: one.ds for one in answers(received(), prior_film())}
    for one in made:
        assert one.ds.SeriesTime != first[one.kind].SeriesTime
        assert one.ds.SeriesNumber == first[one.kind].SeriesNumber + 10_010
        assert "film 2, answer 2" in one.ds.SeriesDescription


def test_pixelmed_finds_nothing_in_reports_but_what_it_cannot_know(tmp_path):
    enhanced = not_analysed(received(), report_class="enhanced")
    (compared,) = [m for m in answers(received(), prior_film()) if m.kind == "report"]
    broken = read_back(enhanced.ds)
    broken.ContentSequence = [
        item
        for item in broken.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning != "Device Observer UID"
    ]
    (again,) = [m for m in second() if m.kind == "report"]
    reports = {"compared": compared.ds, "not-analysed": enhanced.ds, "broken": broken}
    reports["second"] = again.ds
    paths = [tmp_path / f"{name}.dcm" for name in reports]
    for path, ds in zip(paths, reports.values(), strict=True):
        path.write_bytes(to_bytes(ds))
    said = dict(zip(reports, pixelmed(paths), strict=True))
    assert "Missing required content item" in said.pop("broken")[0]  # so it would be seen
    assert said == {"compared": [], "not-analysed": [], "second": []}


# -- a gate that nobody has seen fail is none ------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("summary-capture", "ConversionType"),
        ("report", "CompletionFlag"),
        ("presentation-state", "PresentationCreationDate"),
        ("segmentation", "SegmentationType"),
        ("label-map", "SegmentSequence"),
        ("not-analysed", "VerificationFlag"),
    ],
)
def test_an_invalid_object_of_each_kind_would_be_seen(kind, needed, tmp_path):
    made = [*answers(received()), not_analysed(received())]
    (one,) = [one for one in made if one.kind == kind]
    delattr(one.ds, needed)
    assert any(needed in line for line in complaints(one.ds, tmp_path))


@pytest.mark.parametrize(
    ("kind", "broken", "said"),
    [
        (
            "presentation-state",
            lambda ds: delattr(ds, "DisplayedAreaSelectionSequence"),
            "W: displayedAreaSelectionSQ absent or empty in presentation state",
        ),
        (
            "report",
            lambda ds: delattr(ds.ContentSequence[0], "ConceptCodeSequence"),
            "W: ConceptCodeSequence (0040,a168) absent in SR document (type 1)",
        ),
    ],
)
def test_dcmtk_would_see_a_state_and_a_report_that_cannot_be_shown(kind, broken, said, tmp_path):
    (ds,) = [one.ds for one in answers(received(), **NO_PICTURES) if one.kind == kind]
    broken(ds)
    assert said in complaints(ds, tmp_path)


def test_an_error_of_the_source_is_no_excuse_but_for_who_it_is_of(tmp_path):
    path = film_file(tmp_path, patient_id="A\\B", SoftwareVersions="x" * 80)
    inherited = dciodvfy(path)
    assert any("PatientID" in line for line in inherited)
    assert any("SoftwareVersions" in line for line in inherited)
    ds = not_analysed(dcmread(path)).ds
    assert complaints(ds, tmp_path, inherited) == []
    ds.SoftwareVersions = "x" * 80
    assert complaints(ds, tmp_path, inherited)


# -- the cardiothoracic ratio -------------------------------------------------------------------


@pytest.mark.parametrize("report_class", list(ReportClass))
@pytest.mark.parametrize("found", [{}, None], ids=["alone", "beside outlines"])
def test_a_report_with_a_cardiothoracic_ratio_is_valid(report_class, found, tmp_path):
    lines = CardiothoracicRatio(Line(150, 80.5, 140), Line(110, 30, 170.25))
    ratio = RatioStatement(lines, "", 0.012, 50)
    made = answers(
        received(),
        found=replace(prediction(found), ratio=ratio),
        report_class=report_class,
        **NO_PICTURES,
    )
    assert wrong_with([one for one in made if one.kind == "report"], tmp_path) == {}
