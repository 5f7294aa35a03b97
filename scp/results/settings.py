"""Which objects are made, and how they look."""

from pydantic import BaseModel, ConfigDict, Field

from inference.settings import DrawingSettings, RegionSettings


class ResultSettings(BaseModel):
    """Which objects answer a film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heatmap_capture: bool = Field(
        default=True,
        description="a colour picture of the film with heat maps and all findings; every viewer "
        "shows it",
    )
    comparison_capture: bool = Field(
        default=True, description="a colour picture of what has changed since the prior film"
    )
    report: bool = Field(
        default=True,
        description="a structured report (Comprehensive 3D SR, TID 1500) with outlines that a "
        "viewer lays over the film",
    )
    first_series_number: int = Field(
        default=9001,
        ge=1,
        le=2**31 - 100,
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
        "Films read before a change are no longer compared by probability",
    )
    drawing: DrawingSettings = Field(
        default=DrawingSettings(), description="how the pictures are drawn"
    )
    regions: RegionSettings = Field(
        default=RegionSettings(), description="how a heat map becomes an outline"
    )
