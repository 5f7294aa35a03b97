"""How the web page is offered."""

import difflib
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DashboardSettings(BaseModel):
    """Where the page is, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on. The page shows Patient IDs and has no login of its own:"
        " offer it to others only through a reverse proxy that has one",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one")
    time_zone: str = Field(
        default="",
        description='zone in which moments are shown, as "Europe/Berlin"; empty: the server\'s own',
    )
    refresh_s: int = Field(
        default=10,
        ge=2,
        le=3600,
        description="seconds between two looks at the database while a page is open",
    )
    films_per_page: int = Field(
        default=50, ge=1, le=500, description="films on one page; older ones are a link away"
    )

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        zone_of(name)
        return name

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone in which moments are shown; None is the server's own."""
        return zone_of(self.time_zone)


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by its IANA name; None for "".

    Raises
    ------
    ValueError
        There is none of this name; the text names the nearest.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {near[0]}?" if near else 'names are as "Europe/Berlin"'
        raise ValueError(f"no time zone {name!r} is known here; {hint}") from error
