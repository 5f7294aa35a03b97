"""The kinds of objects that answer a film: what each is, and where it stands in the study."""

from dataclasses import dataclass

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

# Label Map Segmentation Storage (PS3.6, since 2024d), which pydicom does not name
LabelMapSegmentationStorage = UID("1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes
    ----------
    setting
        Its key in `scp.results.settings.ResultSettings`.
    place
        Its series number, counted from ``first_series_number``.
    title
        Its Series Description: at most 64 characters.
    says
        What a page calls it.
    """

    name: str
    sop_class: UID
    modality: str
    transfer_syntax: UID
    setting: str
    place: int
    title: str
    says: str


def _capture(name: str, setting: str, place: int, title: str, says: str) -> Kind:
    syntax = ExplicitVRLittleEndian
    return Kind(name, SecondaryCaptureImageStorage, "OT", syntax, setting, place, title, says)


SUMMARY = _capture(
    "summary-capture", "summary_capture", 0, "AI chest X-ray findings (RUO)", "Findings"
)
CLOSEUP = _capture(
    "finding-capture", "finding_captures", 1, "AI chest X-ray single findings (RUO)", "One finding"
)
COMPARISON = _capture(
    "comparison-capture",
    "comparison_capture",
    2,
    "AI chest X-ray comparison (RUO)",
    "Comparison with the prior",
)
REPORT = Kind(
    "report",
    Comprehensive3DSRStorage,  # or what `report_class` names
    "SR",
    ExplicitVRLittleEndian,
    "report",
    3,
    "AI chest X-ray report (RUO)",
    "Structured report",
)
PRESENTATION_STATE = Kind(
    "presentation-state",
    GrayscaleSoftcopyPresentationStateStorage,
    "PR",
    ExplicitVRLittleEndian,
    "presentation_state",
    4,
    "AI chest X-ray outlines (RUO)",
    "Outlines (presentation state)",
)
SEGMENTATION = Kind(
    "segmentation",
    SegmentationStorage,
    "SEG",
    RLELossless,
    "segmentation",
    5,
    "AI chest X-ray heat maps (RUO)",
    "Heat maps (segmentation)",
)
LABEL_MAP = Kind(
    "label-map",
    LabelMapSegmentationStorage,
    "SEG",
    ExplicitVRLittleEndian,
    "label_map",
    6,
    "AI chest X-ray regions (RUO)",
    "Regions (label map)",
)
NOT_ANALYSED = Kind(
    "not-analysed",
    Comprehensive3DSRStorage,
    "SR",
    ExplicitVRLittleEndian,
    "not_analysed",
    3,
    "AI chest X-ray: NOT ANALYSED (RUO)",
    "Statement that it was not analysed",
)

KINDS = (
    SUMMARY,
    CLOSEUP,
    COMPARISON,
    REPORT,
    PRESENTATION_STATE,
    SEGMENTATION,
    LABEL_MAP,
    NOT_ANALYSED,
)
