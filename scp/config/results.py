"""Settings of the result objects: which are made, and how they look."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from inference.model.operating_points import OperatingSettings
from inference.settings import DrawingSettings, RegionSettings, ShownMaps


class ResultKind(StrEnum):
    """The kinds of objects, by the names of `scp.results.kinds`."""

    SUMMARY = "summary-capture"
    CLOSEUP = "finding-capture"
    COMPARISON = "comparison-capture"
    REPORT = "report"
    PRESENTATION_STATE = "presentation-state"
    SEGMENTATION = "segmentation"
    LABEL_MAP = "label-map"
    NOT_ANALYSED = "not-analysed"


class ReportClass(StrEnum):
    """The SOP classes that a report may have; the content is the same."""

    COMPREHENSIVE_3D = "comprehensive-3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"


class ResultSettings(BaseModel):
    """Which objects answer a film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary_capture: bool = Field(
        default=True,
        description="a colour picture of the film with heat maps and all findings; every viewer "
        "shows it",
    )
    finding_captures: int = Field(
        default=2,
        ge=0,
        le=14,
        description="pictures of single findings at most, the most probable first, each with the "
        "place enlarged; 1.6 MB each",
    )
    comparison_capture: bool = Field(
        default=True, description="a colour picture of what has changed since the prior film"
    )
    report: bool = Field(
        default=True,
        description="a structured report (TID 1500) with outlines that a viewer lays over the film",
    )
    report_class: ReportClass = Field(
        default=ReportClass.COMPREHENSIVE_3D,
        description='"comprehensive-3d", "comprehensive" or "enhanced": the SOP class of reports, '
        "for a PACS that refuses the first; the content is the same",
    )
    adoptable_outlines: bool = Field(
        default=False,
        description="let OHIF offer the report's outlines to the reader as measurements of their "
        "own; off, they stay the machine's",
    )
    presentation_state: bool = Field(
        default=True,
        description="outlines and labels as a presentation state (GSPS), which a viewer can switch "
        "off; only with outlines",
    )
    segmentation: bool = Field(
        default=False,
        description="the heat maps of positive findings as a fractional segmentation, for "
        "algorithms; OHIF cannot show it",
    )
    label_map: bool = Field(
        default=False,
        description="the outlined regions as a label map segmentation that OHIF draws; it states "
        "an orientation in space that a film does not have",
    )
    not_analysed: bool = Field(
        default=False,
        description="a short report for each film that was not analysed or failed, which says why; "
        "also for laterals and whatever else is sent here",
    )
    first_series_number: int = Field(
        default=9001,
        ge=1,
        le=2 * 10**9,
        description="series number of the first kind of object, the others count on; high, so "
        "that results stand after the films",
    )
    thresholds: dict[str, float] = Field(
        default={},
        description="probabilities from which this site calls a finding positive, by label, as "
        "{ Effusion = 0.4 }; findings not named keep the bundle's",
    )
    prevalences: dict[str, float] = Field(
        default={},
        description="how frequent findings are among this site's films, by label, as "
        "{ Pneumonia = 0.03 }: moves their probabilities and the bundle's thresholds alike. "
        "A change holds for the films read before it, too",
    )
    maps: ShownMaps = Field(
        default="verified",
        description='"verified" shows the heat maps and outlines of findings whose maps were shown '
        'to point at them; "all" the others too, each with the words "place not verified"',
    )
    drawing: DrawingSettings = Field(
        default=DrawingSettings(), description="how the pictures are drawn"
    )
    regions: RegionSettings = Field(
        default=RegionSettings(), description="how a heat map becomes an outline"
    )

    @property
    def operating(self) -> OperatingSettings:
        """By which findings are read."""
        return OperatingSettings(self.thresholds, self.prevalences, self.maps)
