import contextlib
import re

import numpy as np
import pytest
from films import chest, coded, make_film_ds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from inference.image.age import age_years
from inference.image.film import Film, NotAFilm, read_film
from inference.image.gate import (
    PRODUCT_MANUFACTURER,
    Reason,
    check_header,
    check_pixels,
)
from inference.image.gate_settings import GateSettings
from inference.image.header import value
from inference.image.limitations import limitations_of

DEFAULT = GateSettings()
ANALYSE = GateSettings(accept_secondary_capture=True, unknown_body_part="analyse")


def reason_of(ds, settings=DEFAULT) -> Reason | None:
    refusal = check_header(ds, settings)
    return refusal.reason if refusal else None


def set_raw(ds, keyword: str, raw: bytes) -> None:
    """Put bytes where a sender put them: pydicom first looks at them when they are touched."""
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)


REFUSED = [
    ({"Manufacturer": PRODUCT_MANUFACTURER}, Reason.OWN_RESULT),
    ({"SecondaryCaptureDeviceManufacturer": "HILUM"}, Reason.OWN_RESULT),
    ({"sop_class": DigitalXRayImageStorageForProcessing}, Reason.FOR_PROCESSING),
    ({"PresentationIntentType": "FOR PROCESSING"}, Reason.FOR_PROCESSING),
    ({"sop_class": SecondaryCaptureImageStorage}, Reason.SECONDARY_CAPTURE),
    ({"SOPClassUID": CTImageStorage}, Reason.WRONG_SOP_CLASS),
    ({"Modality": "MG"}, Reason.WRONG_MODALITY),
    ({"PatientSpeciesDescription": "Canis lupus familiaris"}, Reason.NOT_HUMAN),
    ({"PatientSpeciesCodeSequence": [coded("448771007", "SCT", "Dog")]}, Reason.NOT_HUMAN),
    ({"PatientBreedDescription": "Poodle"}, Reason.NOT_HUMAN),
    ({"PatientAge": "017Y"}, Reason.UNDER_AGE),
    ({"PatientAge": "060M"}, Reason.UNDER_AGE),
    ({"PatientAge": "", "PatientBirthDate": "20100101"}, Reason.UNDER_AGE),
    ({"BodyPartExamined": "HAND"}, Reason.NOT_A_CHEST),
    (
        {
            "BodyPartExamined": "",
            "AnatomicRegionSequence": [],
            "SeriesDescription": "",
            "StudyDescription": "",
        },
        Reason.BODY_PART_UNKNOWN,
    ),
    ({"view": "LL"}, Reason.NOT_FRONTAL),
    ({"view": "", "ViewPosition": "RAO"}, Reason.NOT_FRONTAL),
    (
        {"view": "", "PatientOrientation": "", "StudyDescription": "CHEST 2 VIEWS"},
        Reason.VIEW_UNKNOWN,
    ),
    ({"PatientOrientation": ["L", "H"]}, Reason.NOT_UPRIGHT),
    ({"PatientOrientation": ["F", "R"]}, Reason.NOT_UPRIGHT),
    ({"PresentationLUTShape": "INVERSE"}, Reason.POLARITY_CONTRADICTED),
    (
        {"photometric": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
        Reason.POLARITY_CONTRADICTED,
    ),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_each_refusal_has_its_reason(options, reason):
    assert reason_of(make_film_ds(**options)) is reason


PASSED = [
    {},
    {"view": "AP"},
    {"sop_class": ComputedRadiographyImageStorage},
    {"photometric": "MONOCHROME1"},
    {"PatientAge": "018Y"},
    {"PatientAge": "", "PatientBirthDate": ""},
    {"PatientSpeciesDescription": "Homo sapiens"},
    {"PatientSpeciesCodeSequence": [coded("337915000", "SCT", "Homo sapiens")]},
    {"view": "", "PatientOrientation": ""},
    {"PatientOrientation": ["R", "F"]},
    {"Modality": ""},
]


@pytest.mark.parametrize("options", PASSED)
def test_an_adult_frontal_chest_film_passes(options):
    assert reason_of(make_film_ds(**options)) is None


def test_every_choice_of_the_site_counts():
    nothing = {"BodyPartExamined": "", "AnatomicRegionSequence": []}
    nothing |= {"SeriesDescription": "", "StudyDescription": ""}
    unknown_part = make_film_ds(**nothing)
    assert reason_of(unknown_part, GateSettings(unknown_body_part="analyse")) is None
    unknown_view = make_film_ds(view="", PatientOrientation="")
    assert reason_of(unknown_view, GateSettings(unknown_view="refuse")) is Reason.VIEW_UNKNOWN
    child = make_film_ds(PatientAge="010Y")
    assert reason_of(child, GateSettings(minimum_age_years=0)) is None
    inverse = make_film_ds(PresentationLUTShape="INVERSE")
    assert reason_of(inverse, GateSettings(contradictory_polarity="analyse")) is None
    capture = make_film_ds(sop_class=SecondaryCaptureImageStorage)
    assert reason_of(capture, GateSettings(accept_secondary_capture=True)) is None


def test_our_own_result_is_never_read_again_whatever_the_site_chose():
    capture = make_film_ds(
        sop_class=SecondaryCaptureImageStorage, Manufacturer=PRODUCT_MANUFACTURER
    )
    assert reason_of(capture, ANALYSE) is Reason.OWN_RESULT


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS:UserWarning")
@pytest.mark.parametrize(
    ("age", "years"),
    [("005Y", 5), ("060M", 5), ("81", 81), ("14D", 0.038), ("010W", 0.19), ("64y", 64)],
)
def test_every_form_of_an_age_is_understood(age, years):
    ds = make_film_ds(PatientBirthDate="")
    set_raw(ds, "PatientAge", age.encode())
    assert age_years(ds) == pytest.approx(years, abs=0.01)


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS:UserWarning")
@pytest.mark.parametrize("age", ["", "UNKN", "Y", "-05Y", "99999Y"])
def test_the_birth_date_counts_where_the_age_says_nothing(age):
    ds = make_film_ds(study_date="20240102")
    set_raw(ds, "PatientAge", age.encode())
    ds.PatientBirthDate = "20140102"
    assert age_years(ds) == pytest.approx(10, abs=0.01)
    ds.PatientBirthDate = "20250101"  # born after the film was taken: a typing error
    assert age_years(ds) is None


@pytest.mark.parametrize(
    ("options", "under"),
    [
        ({"AcquisitionDate": "20620101", "PatientBirthDate": "20200101"}, True),
        ({"study_date": "20620102", "PatientBirthDate": "20200101"}, True),
        ({"study_date": "", "PatientBirthDate": "20200101"}, True),
        ({"study_date": "19000101", "PatientBirthDate": "20200101"}, True),
        (
            {
                "study_date": "",
                "AcquisitionDateTime": "20240102101500",
                "PatientBirthDate": "20080101",
            },
            True,
        ),
        ({"study_date": "19700101", "PatientBirthDate": "19600101"}, False),
        ({"AcquisitionDate": "19800101", "PatientBirthDate": "19650101"}, False),
        ({"study_date": "", "PatientBirthDate": "19600101"}, False),
    ],
)
def test_a_clock_that_is_wrong_makes_no_child_an_adult_and_no_adult_a_child(options, under):
    film = make_film_ds(PatientAge=None, **options)
    assert reason_of(film) is (Reason.UNDER_AGE if under else None)


def test_a_refusal_names_no_patient_and_no_birth_date():
    for odd, _ in REFUSED:
        options = {"patient_name": "Secret^Name", "PatientBirthDate": "19870605"} | odd
        refusal = check_header(make_film_ds(**options), DEFAULT)
        assert refusal is not None
        for private in ("Secret", "TEST-1", "1987", "2010"):
            assert private not in refusal.detail
        assert re.fullmatch(r"[A-Z].*\.", refusal.detail)


def test_the_four_philips_films_are_accepted(philips_film):
    for name in ("RG1_UNCR", "RG1_UNCI", "RG1_J2KR", "RG1_J2KI"):
        ds = dcmread(philips_film.with_name(f"{name}.dcm"))
        assert check_header(ds, DEFAULT) is None
        assert check_pixels(read_film(ds), DEFAULT) is None
    ds.ViewPosition = "LL"
    refusal = check_header(ds, DEFAULT)
    assert refusal is not None
    assert refusal.reason is Reason.NOT_FRONTAL
    assert refusal.detail == "The header says lateral (ViewPosition LL)."


def test_a_real_hand_is_refused(philips_film):
    ds = dcmread(philips_film.with_name("RG3_UNCR.dcm"))
    assert reason_of(ds) is Reason.UNDER_AGE
    assert reason_of(ds, GateSettings(minimum_age_years=0)) is Reason.NOT_A_CHEST


def test_a_dog_is_refused_in_every_way(shared_data):
    ds = dcmread(shared_data / "dicom" / "animal_lateral_dx.dcm")
    no_age = GateSettings(minimum_age_years=0)
    assert reason_of(ds) is Reason.NOT_HUMAN
    assert reason_of(ds, no_age) is Reason.NOT_HUMAN
    ds.InstitutionName = ""
    ds.AcquisitionDeviceProcessingDescription = "LATERAL THORAX"
    assert reason_of(ds) is Reason.UNDER_AGE
    assert reason_of(ds, no_age) is Reason.NOT_FRONTAL
    refusal = check_pixels(read_film(ds), DEFAULT)
    assert refusal is not None
    assert refusal.reason is Reason.TOO_SMALL


REAL = [
    ("konica_cr_monochrome1_jpeg_no_tags", Reason.BODY_PART_UNKNOWN, Reason.BODY_PART_UNKNOWN),
    ("nih_dx_secondary_capture", Reason.SECONDARY_CAPTURE, Reason.BODY_PART_UNKNOWN),
    ("rsna_cr_jpeg", Reason.SECONDARY_CAPTURE, None),
    ("rsna_cr_jpeg_wrong_photometric", Reason.SECONDARY_CAPTURE, None),
]


@pytest.mark.parametrize(("name", "by_default", "with_captures"), REAL)
def test_real_films_with_poor_headers_wait_for_the_site_to_choose(
    name, by_default, with_captures, shared_data
):
    ds = dcmread(shared_data / "dicom" / f"{name}.dcm")
    assert reason_of(ds) is by_default
    assert reason_of(ds, GateSettings(accept_secondary_capture=True)) is with_captures
    assert reason_of(ds, ANALYSE) is None
    assert check_pixels(read_film(ds), DEFAULT) is None


def film(pixels) -> Film:
    return Film(np.asarray(pixels, dtype=np.float32))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (film(np.full((300, 300), 0.4)), Reason.CONSTANT),
        (film(np.random.default_rng(0).random((300, 300))), Reason.CONSTANT),
        (film(chest(256, 180)), Reason.TOO_SMALL),
        (film(chest(900, 300)), Reason.IMPLAUSIBLE_SHAPE),
        (film(chest(300, 300) > 0.5), Reason.CLIPPED),
        (film(chest(300, 260)), None),
    ],
)
def test_pixels_that_cannot_be_read_are_refused(picture, reason):
    refusal = check_pixels(picture, DEFAULT)
    assert (refusal.reason if refusal else None) is reason


def test_a_tiny_picture_is_no_error_even_where_the_site_allows_it():
    assert check_pixels(film(chest(40, 36)), GateSettings(minimum_size_px=32)) is None


@pytest.mark.parametrize(
    ("stated", "note"),
    [
        ({"SeriesDescription": "Thorax liegend"}, "supine film"),
        ({"ViewPosition": "AP SUPINE"}, "supine film"),
        ({"StudyDescription": "CHEST AP BEDSIDE"}, "portable film"),
        ({"ProtocolName": "Thorax au lit"}, "portable film"),
        ({"StationName": "MOBILE2"}, "portable film"),
        ({"SeriesDescription": "Thorax stehend"}, None),
    ],
)
def test_a_film_of_a_patient_who_lies_or_is_in_bed_is_noted(stated, note):
    notes = {"supine film", "portable film"} & set(
        limitations_of(make_film_ds(**{"view": "AP"} | stated))
    )
    assert notes == ({note} if note else set())


def test_what_limits_a_reading_is_stated():
    assert limitations_of(make_film_ds()) == ()
    notes = limitations_of(
        make_film_ds(
            view="AP",
            PatientAge="",
            PatientBirthDate="",
            SeriesDescription="Chest portable",
            LossyImageCompression="01",
            PatientOrientation=["R", "F"],
            ImagerPixelSpacing=None,
        )
    )
    assert "AP film: heart size is magnified" in notes
    assert {note.split()[0] for note in notes} == {
        "age",
        "AP",
        "portable",
        "stored",
        "pixel",
    }
    unstated = limitations_of(make_film_ds(view="", PatientOrientation=""))
    assert unstated == ("view not stated",)


def test_settings_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError):
        GateSettings(minimum_age=18)
    assert all(field.description for field in GateSettings.model_fields.values())


READ_BY_THE_GATE = [
    "AcquisitionDate",
    "AcquisitionDeviceProcessingDescription",
    "AnatomicRegionSequence",
    "BodyPartExamined",
    "ImageType",
    "ImagerPixelSpacing",
    "LossyImageCompression",
    "Manufacturer",
    "Modality",
    "PatientAge",
    "PatientBirthDate",
    "PatientBreedDescription",
    "PatientOrientation",
    "PatientSpeciesCodeSequence",
    "PatientSpeciesDescription",
    "PhotometricInterpretation",
    "PixelSpacing",
    "PresentationIntentType",
    "PresentationLUTShape",
    "SOPClassUID",
    "SeriesDescription",
    "StudyDate",
    "ViewCodeSequence",
    "ViewPosition",
]
ODD_BYTES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [b"", b"\\", b"A\\B\\\\", b"\0\0", b"CHEST\\HAND", b"19990230", b"1e999", b"NaN"]
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.dictionaries(st.sampled_from(READ_BY_THE_GATE), ODD_BYTES, max_size=6))
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's remarks on the odd values
def test_no_header_value_makes_the_gate_raise(values):
    base = make_film_ds(rows=16, columns=16)
    ds = Dataset(base)
    ds.file_meta = base.file_meta
    for keyword, raw in values.items():
        set_raw(ds, keyword, raw)
    refusal = check_header(ds, DEFAULT)
    assert refusal is None or refusal.reason in Reason
    assert all(isinstance(note, str) for note in limitations_of(ds))
    with contextlib.suppress(NotAFilm):
        read_film(ds)


@settings(max_examples=100, deadline=None)
@given(
    keyword=st.sampled_from([one for one in READ_BY_THE_GATE if "Sequence" not in one]),
    odd=st.sampled_from(
        [None, "", [], ["", ""], ["CHEST", "", "HAND"], 7, -1.5, b"\xff", ["A"] * 9]
    ),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_value_of_the_wrong_type_makes_the_gate_raise(keyword, odd):
    ds = make_film_ds(rows=16, columns=16)
    try:
        setattr(ds, keyword, odd)
    except (TypeError, ValueError, AttributeError):
        return  # pydicom itself keeps it out
    check_header(ds, DEFAULT)
    limitations_of(ds)


def test_an_empty_object_is_refused_not_an_error():
    assert reason_of(Dataset()) is Reason.WRONG_SOP_CLASS
    with pytest.raises(NotAFilm):
        read_film(Dataset())


@pytest.mark.parametrize("vr", ["US", "SS", "UL", "FD", "FL", "AT"])
def test_a_number_of_a_wrong_length_is_no_value_and_no_error(vr):
    ds = make_film_ds(rows=16, columns=16)
    tag = Tag("PixelPaddingValue")
    ds[tag] = RawDataElement(tag, vr, 1, b"\xff", 0, False, True)
    assert value(ds, "PixelPaddingValue") is None
