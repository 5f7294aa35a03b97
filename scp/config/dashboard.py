"""Settings of the dashboard."""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from scp.config.network import is_loopback


@dataclass(frozen=True)
class Limits:
    """How long a session lasts: at most, and without an act of its person."""

    whole: timedelta
    idle: timedelta


class DashboardSettings(BaseModel):
    """Where the page is, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on. On a loopback address the page is open; on any other it"
        " asks for a login (`hilum user add`)",
    )
    behind_https: bool = Field(
        default=False,
        description="a reverse proxy with TLS is in front of it: it asks for a login on every"
        " address, and browsers keep to https. Without TLS passwords are sent unencrypted",
    )
    session_hours: float = Field(
        default=12,
        gt=0,
        le=168,
        description="hours until a login ends, whatever happens",
    )
    idle_minutes: float = Field(
        default=30,
        gt=0,
        le=1440,
        description="minutes without activity until a login ends; a page that reloads by itself is"
        " not activity",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one")
    refresh_s: int = Field(
        default=10,
        ge=2,
        le=3600,
        description="seconds between two queries of the database while a page is open",
    )
    cache_mb: int = Field(
        default=512,
        ge=32,
        description="megabytes of memory for decoded films, the last ones viewed; one takes 15",
    )
    films_per_page: int = Field(
        default=50, ge=1, le=500, description="films on one page; older ones are a link away"
    )

    @property
    def asks_for_login(self) -> bool:
        """Whether a person must log in: as soon as another machine can reach the page."""
        return self.behind_https or not is_loopback(self.host)

    @property
    def limits(self) -> Limits:
        """How long a login lasts."""
        whole, idle = timedelta(hours=self.session_hours), timedelta(minutes=self.idle_minutes)
        return Limits(whole, idle)
