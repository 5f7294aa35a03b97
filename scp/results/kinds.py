"""The kinds of objects that answer a film: what each is, and its series in the study."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from scp.config.results import ReportClass, ResultSettings

# Label Map Segmentation Storage (PS3.6, since 2024d), which pydicom does not name
LabelMapSegmentationStorage = UID("1.2.840.10008.5.1.4.1.1.66.7")


REPORT_CLASSES = {
    ReportClass.COMPREHENSIVE_3D: Comprehensive3DSRStorage,
    ReportClass.COMPREHENSIVE: ComprehensiveSRStorage,
    ReportClass.ENHANCED: EnhancedSRStorage,
}


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes
    ----------
    setting
        Its key in `scp.config.results.ResultSettings`.
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
    Comprehensive3DSRStorage,  # or another of REPORT_CLASSES
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
    7,
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


def class_name(uid: str) -> str:
    """Return what a SOP class is called (PS3.6)."""
    if uid == LabelMapSegmentationStorage:
        return "Label Map Segmentation Storage"
    return UID(uid).name


def kinds_made(settings: ResultSettings) -> Iterator[Kind]:
    """Return the kinds of objects that these settings ask for, reports in the class they name."""
    for kind in KINDS:
        if getattr(settings, kind.setting):
            is_report = kind.sop_class in REPORT_CLASSES.values()
            chosen = REPORT_CLASSES[settings.report_class] if is_report else kind.sop_class
            yield replace(kind, sop_class=chosen)
