import datetime as dt
import warnings
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from answers import (
    AT,
    COLUMNS,
    JAPANESE,
    PIXELS,
    PRODUCT,
    ROWS,
    prior_film,
    received,
)
from films import coded
from invented import comparison, everything_positive, prediction
from pydicom.dataset import Dataset
from pydicom.uid import (
    SecondaryCaptureImageStorage,
)
from skimage.draw import polygon2mask
from told import EVERYTHING, SETTINGS, SMALL, answer, named, read_back, states, tree

from inference.drawing.outlines import outlines
from inference.findings import FINDINGS, LABELS, Prediction
from inference.image.film import Film, View
from inference.image.grayscale import Window
from inference.image.lut import Lut, read_lut
from inference.image.resizing import resize
from scp.config.results import ResultSettings
from scp.results.answer import NotAnalysed
from scp.results.identity import derive_uid, prepare_source
from scp.results.kinds import KINDS, NOT_ANALYSED
from scp.results.objects import make_objects, to_bytes
from scp.results.report import not_analysed_report
from scp.results.tracking import tracked

# -- which objects ---------------------------------------------------------------------------


ALONE = ["summary-capture", "finding-capture", "finding-capture-2", "report", "presentation-state"]


def test_a_film_without_a_prior_is_answered_with_pictures_a_report_and_outlines():
    assert list(read_back(answer())) == ALONE


def test_a_film_with_a_prior_is_also_answered_with_a_comparison():
    assert set(read_back(answer(prior=prior_film()))) == {*ALONE, "comparison-capture"}


def test_a_film_without_findings_has_no_object_that_shows_a_place():
    made = read_back(answer(found=prediction({})), EVERYTHING)
    assert list(made) == ["summary-capture", "report"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not NOT_ANALYSED])
def test_each_kind_can_be_had_alone(kind):
    off = {"finding_captures": 0} | {
        other.setting: False for other in KINDS if other.setting != "finding_captures"
    }
    settings = ResultSettings.model_validate(SMALL | off | {kind.setting: True})
    made = make_objects(answer(prior=prior_film()), settings)
    assert [o.kind for o in made] == [kind.name]
    (ds,) = (o.ds for o in made)
    assert (ds.SOPClassUID, ds.Modality) == (kind.sop_class, kind.modality)
    assert ds.file_meta.TransferSyntaxUID == kind.transfer_syntax
    assert ds.SeriesNumber == 9001 + kind.place
    assert ds.SeriesDescription.startswith(f"{kind.title}, PA")
    assert len(kind.title) <= 64


def test_a_comparison_without_the_header_of_the_prior_is_refused():
    with pytest.raises(ValueError, match="header of the prior"):
        answer(compared=comparison())


# -- identity --------------------------------------------------------------------------------


def test_patient_and_study_are_those_of_the_current_film_never_of_the_prior():
    source = received(
        issuer="HOSP-A",
        OtherPatientIDsSequence=[],
        PatientComments="kept",
        ProcedureCodeSequence=[coded("399208008", "SCT", "Plain chest X-ray")],
    )
    prior = prior_film(patient_id="TEST-1", issuer="HOSP-A", PatientName="Old^Name")
    same = (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("PatientAge", "PatientComments", "StudyInstanceUID", "StudyID", "StudyDate"),
        *("StudyTime", "StudyDescription", "AccessionNumber", "ReferringPhysicianName"),
        "ProcedureCodeSequence",
    )
    for ds in read_back(answer(source, prior=prior)).values():
        assert {k: ds[k].value for k in same} == {k: source[k].value for k in same}


@pytest.mark.parametrize("patient_id", ["", "A\\B", " 0007 ", "Ü-1"])
def test_odd_patient_ids_are_kept(patient_id):
    source = received(patient_id=patient_id)
    for ds in read_back(answer(source)).values():
        assert ds.PatientID == source.PatientID


@pytest.mark.parametrize("sex", ["M", "F", "O", "m", "U", "unknown", ""])
def test_a_sex_that_dicom_does_not_know_becomes_empty(sex):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom: 'unknown' is no code string
        source = received(PatientSex=sex)
        expected = sex.upper() if sex.upper() in ("M", "F", "O") else ""
        for ds in read_back(answer(source)).values():
            assert (ds.PatientSex or "") == expected


def test_absent_attributes_of_type_2_are_there_and_empty():
    gone = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"]
    gone += ["AccessionNumber", "StudyID", "ReferringPhysicianName"]
    source = received(**dict.fromkeys(gone))
    for ds in read_back(answer(source)).values():
        assert all(not ds[keyword].value for keyword in gone)


def test_a_value_that_no_receiver_may_accept_is_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = received(PatientAge="66", PatientSize="1.8")
        header = prepare_source(source)
    assert "PatientAge" not in header
    assert header.PatientSize == 1.8


def test_a_film_of_two_values_for_its_size_is_reported_by_the_first():
    source = received()
    source.add_new("Columns", "US", [source.Columns, source.Columns])
    assert read_back(answer(source))


def test_a_name_of_one_word_is_not_printed_into_a_warning():
    source = received(patient_name="SINGLE")  # warnings are errors here
    assert read_back(answer(source))["report"].PatientName == "SINGLE"


def test_text_inside_sequences_is_recoded_too():
    other = coded("X", "99X", "x")
    other.PatientID, other.IssuerOfPatientID = "OLD-7", "東京病院"
    source = received(**JAPANESE, OtherPatientIDsSequence=[other])
    assert prepare_source(source).SpecificCharacterSet == "ISO_IR 192"
    for ds in read_back(answer(source)).values():
        assert ds.OtherPatientIDsSequence[0].IssuerOfPatientID == "東京病院"


def test_preparing_a_source_leaves_it_as_it_was():
    source = received(**JAPANESE)
    before = to_bytes(source)
    prepare_source(source)
    assert to_bytes(source) == before


def test_no_pixels_private_elements_or_other_bulk_are_copied():
    source = received()
    source.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "secret")
    header = prepare_source(source)
    assert "PixelData" not in header
    assert not [element for element in header if element.tag.is_private]


# -- UIDs and bytes --------------------------------------------------------------------------


def test_the_same_answer_makes_the_same_bytes():
    one, other = (
        [to_bytes(o.ds) for o in make_objects(answer(prior=prior_film()), EVERYTHING)]
        for _ in range(2)
    )
    assert one == other


def uids(one):
    return {kind: ds.SOPInstanceUID for kind, ds in read_back(one).items()}


def test_every_kind_of_object_has_its_own_series():
    made = read_back(answer(prior=prior_film()), EVERYTHING).values()
    assert len({ds.SeriesInstanceUID for ds in made}) == 7
    assert [ds.SeriesNumber for ds in made] == [9001, 9002, 9002, 9003, 9004, 9005, 9006, 9007]
    assert len({ds.SOPInstanceUID for ds in made}) == 8


def test_a_derived_uid_is_a_valid_uuid_derived_uid_and_stable():
    uid = derive_uid("a", 1)
    assert uid.is_valid
    assert uid == derive_uid("a", 1) != derive_uid("a", 2)
    assert uid == "2.25." + str(int(uid.split(".")[2]))


# -- what a receiver sees --------------------------------------------------------------------


def test_captures_say_what_they_are_and_what_they_were_made_from():
    source, prior = received(), prior_film()
    made = read_back(answer(source, prior=prior))
    for kind in ("summary-capture", "comparison-capture"):
        ds = made[kind]
        assert ds.SOPClassUID == SecondaryCaptureImageStorage
        assert ds.BurnedInAnnotation == "YES"
        assert ds.ConversionType == "WSD"
        assert ds.Modality == "OT"
        assert ds.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert ds.ImageComments == (
            "AI RESULT - FOR RESEARCH USE ONLY. Made by a machine, not verified by a physician."
        )
        assert (ds.Manufacturer, ds.SoftwareVersions) == ("hilum", "0.1.0")
        assert "PixelSpacing" not in ds
        assert ds.PatientOrientation == ["L", "F"]
        named_films = {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence}
        assert named_films == {source.SOPInstanceUID, prior.SOPInstanceUID}
        other = ds.StudiesContainingOtherReferencedInstancesSequence[0]
        assert other.StudyInstanceUID == prior.StudyInstanceUID
        assert ds.pixel_array.shape == (590, 900, 3)


def test_a_prior_of_the_same_study_is_referred_to_in_it():
    source = received()
    prior = received(seed=5, StudyInstanceUID=source.StudyInstanceUID, pixels=PIXELS[::-1])
    ds = read_back(answer(source, prior=prior))["comparison-capture"]
    assert "StudiesContainingOtherReferencedInstancesSequence" not in ds
    referred = [
        item.ReferencedSOPInstanceUID
        for series in ds.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    ]
    assert referred == [source.SOPInstanceUID, prior.SOPInstanceUID]


def test_every_time_is_the_time_of_the_answer():
    for ds in read_back(answer(prior=prior_film()), EVERYTHING).values():
        content = "PresentationCreation" if ds.Modality == "PR" else "Content"
        for kind in ("Series", content, "InstanceCreation"):
            assert (ds[f"{kind}Date"].value, ds[f"{kind}Time"].value) == ("20240102", "112233")
        for item in ds.ContributingEquipmentSequence:
            assert item.ContributionDateTime == "20240102112233"


def test_times_are_written_in_the_zone_of_the_source():
    source = received(TimezoneOffsetFromUTC="+0900")
    at = dt.datetime(2024, 1, 2, 20, 0, tzinfo=dt.UTC)
    for ds in read_back(answer(source, at=at)).values():
        assert (ds.SeriesDate, ds.SeriesTime) == ("20240103", "050000")
        assert ds.TimezoneOffsetFromUTC == "+0900"


def test_a_picture_of_a_lossy_film_is_lossy():
    source = received(
        LossyImageCompression="01",
        LossyImageCompressionRatio="12.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    ds = read_back(answer(source))["summary-capture"]
    assert ds.LossyImageCompression == "01"
    assert (ds.LossyImageCompressionRatio, ds.LossyImageCompressionMethod) == (
        12.5,
        "ISO_10918_1",
    )


def test_the_report_says_all_14_findings():
    ds = read_back(answer())["report"]
    said = states(ds)
    assert len(said) == 14
    positive = {f.code.value for f in FINDINGS if f.label in ("Nodule", "Effusion")}
    assert {code for code, state in said.items() if state == "Present"} == positive
    words = [item.TextValue for item in named(ds, "121071") if item.ValueType == "TEXT"]
    assert len(words) == 14
    assert "Nodule: 93.0 %, above the site's threshold (30.0 %)" in words
    assert "Hernia: 5.0 %, below the site's threshold (30.0 %)" in words


def test_the_report_is_a_preliminary_unverified_research_report():
    ds = read_back(answer())["report"]
    assert ds.VerificationFlag == "UNVERIFIED"
    assert ds.PreliminaryFlag == "PRELIMINARY"
    assert ds.CompletionFlag == "COMPLETE"
    assert ds.ContentQualification == "RESEARCH"
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"


@pytest.mark.parametrize(
    ("found", "groups"),
    [(prediction({}), 1), (prediction(), 2), (everything_positive(), 14)],
    ids=["none", "two", "all"],
)
def test_the_report_keeps_the_rules_that_ohif_needs(found, groups):
    ds = read_back(answer(found=found, prior=prior_film()))["report"]
    assert ds.ConceptNameCodeSequence[0].CodeValue == "126000"
    top = [item.ConceptNameCodeSequence[0].CodeValue for item in ds.ContentSequence]
    assert top.count("126010") == top.count("111028") == 1
    assert len(named(ds, "126200")) == 1
    assert len(named(ds, "125007")) == groups
    assert all("ConceptNameCodeSequence" in item for _, item in tree(ds))
    for group in named(ds, "125007"):
        (number,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]
        (region,) = number.ContentSequence
        assert (region.ValueType, region.GraphicType) == ("SCOORD", "POLYLINE")
        (image,) = region.ContentSequence
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        here = {item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence}
        assert {"112039", "112040", "121071", "121106"} <= here


def test_an_outline_in_the_report_lies_on_the_finding_in_pixels_of_the_film():
    ds = read_back(answer(found=prediction({"Nodule": (0.93, 0.75, 0.35, 0.06)})))["report"]
    (group,) = named(ds, "125007")
    (number,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    points = np.reshape(number.ContentSequence[0].GraphicData, (-1, 2))
    assert points.mean(axis=0) == pytest.approx((0.75 * COLUMNS, 0.35 * ROWS), abs=3)
    assert (points[0] == points[-1]).all()
    assert number.MeasuredValueSequence[0].NumericValue == 93.0
    assert group.ContentSequence[-1].TextValue == "Nodule 93.0 % (AI, threshold 30.0 %)"


def test_a_film_without_outlines_has_one_group_that_says_so_around_the_film():
    ds = read_back(answer(found=prediction({})))["report"]
    (group,) = named(ds, "125007")
    said = "None of 14 above the site's threshold; not thereby normal (AI)"
    assert group.ContentSequence[-1].TextValue == said
    (number,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    assert number.MeasuredValueSequence[0].NumericValue == 14
    points = np.reshape(number.ContentSequence[0].GraphicData, (-1, 2))
    assert (points[0] == points[-1]).all()
    assert points.min(axis=0) == pytest.approx((0.01 * COLUMNS, 0.01 * ROWS))
    assert points.max(axis=0) == pytest.approx((0.99 * COLUMNS, 0.99 * ROWS))


def test_a_positive_finding_that_the_map_does_not_localise_has_no_group():
    found = prediction()
    flat = Prediction(
        found.probabilities, found.thresholds, np.ones_like(found.heatmaps), found.model
    )
    ds = read_back(answer(found=flat))["report"]
    (group,) = named(ds, "125007")
    said = "2 findings above the site's threshold without a place: see the report (AI)"
    assert group.ContentSequence[-1].TextValue == said
    assert list(states(ds).values()).count("Present") == 2


@pytest.mark.parametrize(
    ("found", "code"), [(prediction({}), "111241"), (prediction(), "111242")], ids=["none", "two"]
)
def test_the_report_says_what_the_machine_did(found, code):
    ds = read_back(answer(found=found))["report"]
    assert named(ds, "111017")[0].ConceptCodeSequence[0].CodeValue == code


@pytest.mark.parametrize("found", [prediction({}), prediction()], ids=["none", "two"])
def test_a_report_says_first_that_nobody_verified_it_and_what_limits_it(found):
    limited = comparison(reason="one film is PA and one AP")
    ds = read_back(
        answer(found=found, notes=("portable film",), prior=prior_film(), compared=limited)
    )["report"]
    panel = named(ds, "C0034375")[0].ContentSequence
    first = [item.TextValue for item in panel[:6]]
    assert first[0] == "AI RESULT - FOR RESEARCH USE ONLY"
    assert first[1] == "Made by a machine, not verified by a physician."
    assert first[2] == "portable film"
    assert first[3] == "Limited comparison: one film is PA and one AP"
    assert first[4].startswith("Film taken: ")
    assert "of the 14 findings looked for" in first[5]


def test_a_report_without_findings_reads_as_normal_nowhere():
    ds = read_back(answer(found=prediction({})))["report"]
    said = [item.TextValue for _, item in tree(ds) if item.ValueType == "TEXT"]
    assert any("This is no statement that the film is normal." in text for text in said)
    codes = {
        item.ConceptCodeSequence[0].CodeMeaning for _, item in tree(ds) if item.ValueType == "CODE"
    }
    assert not {"Absent", "Normal"} & codes
    assert set(states(ds).values()) == {"Below the site's threshold"}


def test_the_report_names_the_algorithm_and_its_weights():
    for found in (prediction({}), prediction()):
        ds = read_back(answer(found=found))["report"]
        assert {item.TextValue for item in named(ds, "111001")} == {"invented-net"}
        assert {item.TextValue for item in named(ds, "111003")} == {"1.2.0"}
        assert {item.TextValue for item in named(ds, "111002")} == {f"bundle SHA-256 {'ab12' * 16}"}


def test_the_report_says_what_has_changed_and_lists_the_prior_as_evidence():
    source, prior = received(), prior_film()
    ds = read_back(answer(source, prior=prior))["report"]
    assert ds.StudyInstanceUID == source.StudyInstanceUID
    evidence = hd.sr.Comprehensive3DSR.from_dataset(ds).get_evidence()
    assert [e[2] for e in evidence] == [source.SOPInstanceUID, prior.SOPInstanceUID]
    referred = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for _, item in tree(ds)
        if item.ValueType == "IMAGE"
    }
    assert referred == {source.SOPInstanceUID}
    other = ds.PertinentOtherEvidenceSequence[0]
    assert other.StudyInstanceUID == prior.StudyInstanceUID
    words = [item.TextValue for item in named(ds, "111049") if item.ValueType == "TEXT"]
    (nodule,) = (word for word in words if word.startswith("Nodule"))
    counted = "new: differs more than in 99 of 100 pairs without change"
    assert nodule == f"Nodule (5.0 % -> 93.0 %): {counted}"
    assert len(words) == 14
    nodule = next(item for item in named(ds, "27925004"))
    assert nodule.ContentSequence[0].ConceptCodeSequence[0].CodeValue == "129721008"
    comments = [item.TextValue for item in named(ds, "121106")]
    assert any(
        text.startswith("Compared with the prior film of 2023-01-02 10:15, 365 days earlier:")
        for text in comments
    )


PRIOR_SAID = "Not comparable with the prior film of 2023-01-02 10:15, 365 days earlier"


def test_films_that_are_not_comparable_are_said_to_be_so_and_no_change_is_claimed():
    apart = comparison(comparable=False, reason="the films do not overlap")
    made = read_back(answer(prior=prior_film(), compared=apart))
    assert "comparison-capture" in made
    assert "DerivationCodeSequence" not in made["comparison-capture"]
    ds = made["report"]
    assert not named(ds, "111049")
    comments = [item.TextValue for item in named(ds, "121106")]
    assert PRIOR_SAID + ": the films do not overlap" in comments


def test_notes_stand_in_the_report():
    ds = read_back(answer(notes=("The view is not stated.",)))["report"]
    assert "The view is not stated." in [item.TextValue for item in named(ds, "121106")]


def test_highdicom_reads_the_report_back():
    ds = hd.sr.Comprehensive3DSR.from_dataset(read_back(answer(found=prediction({})))["report"])
    assert isinstance(ds.content, hd.sr.MeasurementReport)


def test_nothing_of_the_patient_is_in_what_is_no_identity():
    source = received(patient_name="Secret^Name", patient_id="SECRET-ID")
    for ds in read_back(answer(source)).values():
        for keyword in ("PatientName", "PatientID"):
            del ds[keyword]
        assert b"ecret" not in to_bytes(ds)
        assert b"SECRET" not in to_bytes(ds)


# -- one finding, followed ---------------------------------------------------------------------


def test_a_finding_at_the_same_place_keeps_the_identifier_of_the_priors_report():
    known = {"Effusion": "2.25.1", "Nodule": "2.25.2"}  # the effusion is where it was
    one = answer(prior=prior_film(), followed=known)
    made = read_back(one, EVERYTHING)
    ours = tracked(made["report"])
    assert ours["Effusion"] == "2.25.1"
    assert ours["Nodule"] == tracked(read_back(answer())["report"])["Nodule"] != "2.25.2"
    (annotation,) = made["presentation-state"].GraphicAnnotationSequence
    drawn = {item.TrackingID: item.TrackingUID for item in annotation.GraphicObjectSequence}
    assert drawn == {"AI Effusion": ours["Effusion"], "AI Nodule": ours["Nodule"]}
    for kind in ("segmentation", "label-map"):
        segments = {item.TrackingID: item.TrackingUID for item in made[kind].SegmentSequence}
        assert segments == drawn


def test_an_answer_that_follows_other_findings_is_another_object():
    prior = prior_film()
    one, other = (answer(prior=prior, followed={"Effusion": uid}) for uid in ("2.25.1", "2.25.2"))
    one, other = uids(one), uids(other)
    follow = ("report", "presentation-state", "segmentation", "label-map")
    assert all(one[kind] != other[kind] for kind in follow if kind in one)


def test_a_reports_identifiers_are_read_only_from_its_measurements():
    assert tracked(read_back(answer(found=prediction({})))["report"]) == {}
    assert tracked(received()) == {}


# -- the report's class and layout --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("comprehensive-3d", "1.2.840.10008.5.1.4.1.1.88.34"),
        ("comprehensive", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("enhanced", "1.2.840.10008.5.1.4.1.1.88.22"),
    ],
)
def test_the_reports_class_can_be_chosen_and_its_content_stays_the_same(name, uid):
    settings = ResultSettings.model_validate(SMALL | {"report_class": name})
    ds = read_back(answer(), settings)["report"]
    assert ds.SOPClassUID == uid
    words = [item.get("TextValue") for _, item in tree(ds)]
    assert words == [item.get("TextValue") for _, item in tree(read_back(answer())["report"])]


def test_outlines_are_the_readers_to_take_over_only_where_the_site_says_so():
    for adoptable in (False, True):
        settings = ResultSettings.model_validate(SMALL | {"adoptable_outlines": adoptable})
        ds = read_back(answer(), settings)["report"]
        names = [item.TextValue for item in named(ds, "112039")]
        assert all(name.startswith("Cornerstone3DTools") is adoptable for name in names)


def test_a_group_says_what_has_become_of_its_finding():
    groups = named(read_back(answer(prior=prior_film()))["report"], "125007")
    said = {
        item.ConceptCodeSequence[0].CodeMeaning
        for group in groups
        for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "111049"
    }
    assert said == {"New finding", "Finding less certain than before"}


# -- not analysed -------------------------------------------------------------------------------

LATERAL = NotAnalysed(
    received(), "lateral", "The film is a lateral view.", AT, PRODUCT, prediction().model
)


def test_a_film_that_was_not_analysed_has_no_finding_absent():
    ds = not_analysed_report(LATERAL, SETTINGS).ds
    assert set(states(ds).values()) == {"Undetermined"}
    assert len(states(ds)) == 14
    assert named(ds, "111017")[0].ConceptCodeSequence[0].CodeValue == "111245"
    words = [item.TextValue for item in named(ds, "121106")]
    assert "NOT ANALYSED: The film is a lateral view." in words
    assert SETTINGS.drawing.label in words
    assert "NOT ANALYSED" in ds.SeriesDescription


def test_a_report_of_what_was_not_analysed_keeps_the_rules_that_ohif_needs():
    ds = not_analysed_report(LATERAL, SETTINGS).ds
    (group,) = named(ds, "125007")
    assert group.ContentSequence[-1].TextValue.startswith("NOT ANALYSED (AI): The film is a lat")
    (number,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    assert number.ConceptNameCodeSequence[0].CodeMeaning == "Findings not looked for"
    assert number.MeasuredValueSequence[0].NumericValue == 14
    assert len(named(ds, "126200")) == 1
    top = [item.ConceptNameCodeSequence[0].CodeValue for item in ds.ContentSequence]
    assert top.count("126010") == 1


def test_another_reason_is_another_object():
    other = replace(LATERAL, reason="blank", detail="The film is blank.")
    one, two = (not_analysed_report(said, SETTINGS).ds for said in (LATERAL, other))
    assert one.SOPInstanceUID != two.SOPInstanceUID


# -- outlines over the film ---------------------------------------------------------------------


def outlines_over(source, film, **more):
    found = prediction()
    one = replace(answer(source, found=found, **more), film=film)
    return read_back(one)["presentation-state"]


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")]
)
def test_outlines_keep_the_polarity_and_greys_of_the_film(photometric, shape):
    source = received(photometric=photometric, RescaleSlope="2", RescaleIntercept="-7")
    ds = outlines_over(source, Film(PIXELS, View.PA, voi=Window(2048, 4096)))
    assert ds.PresentationLUTShape == shape
    assert (ds.RescaleSlope, ds.RescaleIntercept) == (2, -7)
    (voi,) = ds.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == (2048, 4096, "LINEAR")


@pytest.mark.parametrize(
    ("window", "written"),
    [
        (Window(100, 50, "LINEAR_EXACT"), (100.5, 51, "LINEAR")),
        (Window(100, 50, "SIGMOID"), (100, 50, "SIGMOID")),
        (Window(100, 50, "odd"), (100, 50, "LINEAR")),
    ],
)
def test_a_window_is_written_as_viewers_know_it(window, written):
    (voi,) = outlines_over(received(), Film(PIXELS, voi=window)).SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == written


@pytest.mark.parametrize(("count", "first"), [(4096, 0), (4096, -5), (65536, 0), (65536, -32768)])
def test_a_voi_lut_of_the_film_is_kept(count, first):
    lut = Lut(np.linspace(0, 65535, count), first, 16)
    (voi,) = outlines_over(received(), Film(PIXELS, voi=lut)).SoftcopyVOILUTSequence
    kept = read_lut(voi.VOILUTSequence[0], voi)
    assert (kept.first, kept.bits) == (first, 16)
    assert (kept.entries == np.floor(lut.entries)).all()
    assert "WindowCenter" not in voi


def test_a_modality_lut_of_the_film_is_kept():
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 16])
    item.add_new("LUTData", "US", [3, 2, 1, 0])
    item.ModalityLUTType = "OD"
    source = received(ModalityLUTSequence=[item], RescaleSlope=None, RescaleIntercept=None)
    ds = outlines_over(source, Film(PIXELS, voi=Window(2, 4)))
    (kept,) = ds.ModalityLUTSequence
    assert kept.ModalityLUTType == "OD"
    assert read_lut(kept, ds).entries.tolist() == [3, 2, 1, 0]
    assert "RescaleSlope" not in ds


def test_labels_stay_on_the_film_and_off_each_other():
    ds = read_back(answer(found=everything_positive()))["presentation-state"]
    (annotation,) = ds.GraphicAnnotationSequence
    assert len(annotation.TextObjectSequence) == len(annotation.GraphicObjectSequence) == 14
    boxes = [
        (*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner)
        for text in annotation.TextObjectSequence
    ]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= COLUMNS
        assert 0 <= top < bottom <= ROWS
    apart = [
        a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for k, a in enumerate(boxes)
        for b in boxes[:k]
    ]
    assert all(apart)
    said = [text.UnformattedTextValue for text in annotation.TextObjectSequence]
    assert "Nodule 65.0 % (AI, threshold 30.0 %)" in said


def test_a_film_stored_in_colour_has_no_presentation_state():
    source = received(sop_class=SecondaryCaptureImageStorage)
    source.SamplesPerPixel = 3
    assert "presentation-state" not in read_back(answer(source))


# -- regions for algorithms ---------------------------------------------------------------------


def test_a_segmentation_is_the_heat_maps_on_the_films_own_pixels():
    found = prediction()
    ds = read_back(answer(found=found), EVERYTHING)["segmentation"]
    assert (ds.Rows, ds.Columns, ds.NumberOfFrames) == (ROWS, COLUMNS, 2)
    assert (ds.SegmentationType, ds.MaximumFractionalValue) == ("FRACTIONAL", 255)
    frames = ds.pixel_array / 255
    for item, frame in zip(ds.SegmentSequence, frames, strict=True):
        (i,) = [k for k, f in enumerate(FINDINGS) if item.SegmentLabel == f"AI {f.name}"]
        assert np.abs(frame - resize(found.heatmaps[i], (ROWS, COLUMNS)).clip(0, 1)).max() < 0.02


def test_a_label_map_fills_the_outlines_and_the_more_probable_finding_lies_on_top():
    found = prediction({"Mass": (0.6, 0.5, 0.5, 0.2), "Nodule": (0.9, 0.5, 0.5, 0.1)})
    ds = read_back(answer(found=found), EVERYTHING)["label-map"]
    labels = {item.SegmentNumber: item.SegmentLabel for item in ds.SegmentSequence}
    page = ds.pixel_array
    assert labels == {1: "AI Mass", 2: "AI Nodule"}
    assert labels[page[ROWS // 2, COLUMNS // 2]] == "AI Nodule"
    assert labels[page[ROWS // 2, COLUMNS // 2 + 35]] == "AI Mass"
    assert page[0, 0] == 0
    inside = [
        polygon2mask((ROWS, COLUMNS), outlines(found, PIXELS.shape)[LABELS.index(label)][:, ::-1])
        for label in ("Mass", "Nodule")
    ]
    assert np.mean((page > 0) == np.logical_or(*inside)) > 0.99
