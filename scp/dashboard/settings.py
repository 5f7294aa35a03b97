"""How the web page is offered."""

from pydantic import BaseModel, ConfigDict, Field


class DashboardSettings(BaseModel):
    """Where the page is, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on. The page shows names and Patient IDs and has no login of"
        " its own: offer it to others only through a reverse proxy that has one",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one")
    refresh_s: int = Field(
        default=10,
        ge=2,
        le=3600,
        description="seconds between two looks at the database while a page is open",
    )
    films_per_page: int = Field(
        default=50, ge=1, le=500, description="films on one page; older ones are a link away"
    )
