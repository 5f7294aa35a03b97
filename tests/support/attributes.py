"""Which attributes our objects have, as a table of the conformance statement.

Make it anew: python tests/support/attributes.py
"""

import re
from pathlib import Path

from answers import lut
from films import made_uid, philips_cr
from pydicom.datadict import tag_for_keyword

from scp.results.kinds import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
MARKED = re.compile(r"(<!-- from the objects -->\n).*?(<!-- end -->)", re.DOTALL)

# what a film need not say
OFTEN_ABSENT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("AccessionNumber", "StudyID", "ReferringPhysicianName"),
    *("Modality", "PatientOrientation", "InstitutionName", "StudyDescription", "PatientAge"),
    *("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("IssuerOfPatientID", "ImagerPixelSpacing", "BodyPartExamined", "TimezoneOffsetFromUTC"),
    *("LossyImageCompression", "SpecificCharacterSet"),
)
# values that need a word
SAID = {
    "SOPClassUID": "see the objects that are sent",
    "SeriesDescription": "its kind, and (RUO)",
    "SeriesNumber": "see the objects that are sent",
    "PatientSex": "film; empty where it is none of M, F, O",
    "PatientOrientation": "film; empty where it states none",
    "BodyPartExamined": "film, else CHEST",
    "ModalityLUTSequence": "film, if it has one",
    "TimezoneOffsetFromUTC": "film; where it states none, the site's",
    "RescaleSlope": "film",
    "RescaleIntercept": "film",
    "RescaleType": "film, else US",
    "SoftcopyVOILUTSequence": "the film's window or VOI LUT, else the window that hilum found",
    "LossyImageCompression": "01 where film or prior is lossy, else 00",
    "LossyImageCompressionRatio": "film",
    "LossyImageCompressionMethod": "film",
    "PresentationLUTShape": "INVERSE for outlines on MONOCHROME1, else IDENTITY",
    "SoftwareVersions": "hilum's version",
    "SecondaryCaptureDeviceSoftwareVersions": "hilum's version",
    "DeviceSerialNumber": "`[receiver] ae_title`",
    "ImageComments": "`[results.drawing] label`; not verified by a physician",
    "DateOfSecondaryCapture": "when the film was read",
    "TimeOfSecondaryCapture": "when the film was read",
    "ContentCreatorName": "empty",
    "DerivationDescription": "network, version, and what was drawn",
    "InstanceNumber": "1; of single findings by rank",
    "NumberOfFrames": "one for each finding; of a label map 1",
    "Rows": "segmentations: the film's",
    "Columns": "segmentations: the film's",
    "SourceImageSequence": "film, and prior if compared",
    "ReferencedSeriesSequence": "film, and prior of the same study if compared",
    "StudiesContainingOtherReferencedInstancesSequence": "prior of another study, if compared",
    "PertinentOtherEvidenceSequence": "prior of another study, if compared",
    "CurrentRequestedProcedureEvidenceSequence": "film, and prior of the same study if compared",
    "ContributingEquipmentSequence": "109102 DCM Processing Equipment: hilum, network and version",
    "CodingSchemeIdentificationSequence": "99HILUM",
    "ContentTemplateSequence": "TID 1500 of DCMR",
    "ContentSequence": "see the report's content",
    "DerivationCodeSequence": "113062 DCM Pixel by pixel subtraction, if comparable",
    "ReferencedPerformedProcedureStepSequence": "empty",
    "PerformedProcedureCodeSequence": "empty",
    "ConceptNameCodeSequence": "126000 DCM Imaging Measurement Report",
    "SegmentSequence": "a segment for each finding, with tracking UID, algorithm and site",
    "SharedFunctionalGroupsSequence": "Pixel Measures; of a label map Plane Orientation too",
    "GraphicAnnotationSequence": "a polyline and a text for each outline, with tracking UID",
}


def attribute_table(variants, film) -> str:
    """Return the table of objects by kind, of several films; ``film`` is the one that says most."""
    kinds = [kind.name for kind in KINDS]
    all_made = [ds for variant in variants for ds in variant.values()]
    keywords = {element.keyword for ds in all_made for element in ds if element.keyword}
    lines = ["| Attribute | Tag | " + " | ".join(kinds) + " | Value |"]
    lines.append("| --- " * (len(kinds) + 3) + "|")
    for keyword in sorted(keywords, key=tag_for_keyword):
        tag = tag_for_keyword(keyword)
        there = [_there([v[kind] for v in variants if kind in v], keyword) for kind in kinds]
        said_most = [ds for ds in variants[0].values() if keyword in ds]
        value = _source(keyword, said_most or [ds for ds in all_made if keyword in ds], film)
        cells = [keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", *there, value]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _there(made, keyword: str) -> str:
    """Return the presence of a value as PS3.2 has it; "" in objects that never have it."""
    having = [ds for ds in made if keyword in ds]
    if not having:
        return ""
    if len(having) < len(made):
        return "ANAP"
    empty = [
        ds[keyword].is_empty or (ds[keyword].VR == "SQ" and not ds[keyword].value) for ds in made
    ]
    return "EMPTY" if all(empty) else "VNAP" if any(empty) else "ALWAYS"


def _source(keyword: str, made, film) -> str:
    if keyword in SAID:
        return SAID[keyword]
    if keyword.endswith(("Date", "Time")) and not keyword.startswith(("Study", "Patient")):
        return "when the film was read"
    values = {str(ds[keyword].value) for ds in made}
    if keyword in film and values == {str(film[keyword].value)} and film[keyword].tag >> 16 != 0x28:
        return "film"
    if keyword.endswith("UID"):
        return "derived"
    if made[0][keyword].VR == "SQ" or keyword == "PixelData":
        return "made"
    return ", ".join(f"`{value}`" for value in sorted(values))


def make_variants():
    """Return objects by kind, of films that differ in what they say; and the one that says most.

    They say much; little; much, with no prior, with one that is not comparable, with one of the
    same study; and have a modality LUT in place of a rescale.
    """
    from study import make_study

    path = philips_cr()
    stated = {
        "TimezoneOffsetFromUTC": "+0100", "IssuerOfPatientID": "HOSP", "PatientAge": "066Y",
        "LossyImageCompression": "01", "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": "ISO_10918_1", "InstitutionName": "Test Hospital",
        "RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US",
        "BodyPartExamined": "CHEST", "PatientOrientation": ["L", "F"], "AccessionNumber": "A1",
    }  # fmt: skip
    rescaled = dict.fromkeys(("RescaleSlope", "RescaleIntercept", "RescaleType"))
    studies = [
        make_study(path, header=stated),
        make_study(path, header=dict.fromkeys(OFTEN_ABSENT)),
        make_study(path, header=stated, compared=False),
        make_study(path, header=stated, apart="the films do not overlap"),
        make_study(path, header=stated | {"StudyInstanceUID": made_uid("one study")}),
        make_study(path, header=stated | rescaled | {"ModalityLUTSequence": [lut(2**15, 0, "US")]}),
    ]
    return [{made.kind: made.ds for made in one.objects} for one in studies], studies[0].film


def renewed(page: str, variants, film) -> str:
    """Return a page with the table made anew."""
    return MARKED.sub(lambda mark: mark[1] + attribute_table(variants, film) + mark[2], page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), *make_variants()), encoding="utf-8")
