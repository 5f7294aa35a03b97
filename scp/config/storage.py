"""Settings of the archive and the database."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ArchiveSettings(BaseModel):
    """How the disk is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reserve_mb: int = Field(
        1024,
        ge=0,
        description="megabytes kept free: below, films are refused with 0xA700 and the sender"
        " keeps them. The reserve is what lets films already taken in be answered",
    )
    reserve_percent: float = Field(
        1.0,
        ge=0,
        le=100,
        description="the same in per cent of the disk; the larger of the two counts",
    )

    def reserve_bytes(self, disk_bytes: int) -> int:
        """Return how much of a disk of this size is kept free."""
        percent = int(disk_bytes * self.reserve_percent / 100)
        return max(self.reserve_mb * 1_000_000, percent)


class DatabaseSettings(BaseModel):
    """Where the index and the queue live, together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "",
        description="empty: SQLite in data_dir, right for one machine;"
        " postgresql+psycopg://user:password@host/name when several share the work."
        " postgresql:// is the same. Write / @ : in a password as %2F %40 %3A",
    )

    def resolved(self, data_dir: Path) -> str:
        """Return the URL that is meant: SQLite in ``data_dir`` when none was given."""
        return self.url or f"sqlite:///{data_dir / 'hilum.sqlite'}"
