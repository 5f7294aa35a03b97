"""The words of the page: states as sentences, moments as local time."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from itertools import groupby

from inference import statements
from inference.findings import Change
from inference.image.acquisition import interval
from scp.index.acquisition import SaysWhen, acquired
from scp.index.schema.tables import DeliveryState, FilmState
from scp.index.values import FilmRow, FindingRow
from scp.results.kinds import KINDS

LABEL = "AI result, for research use only: not for diagnosis, not verified by a physician"

# what a probability means, where the reader looks at one
SCALE = (
    "A probability says how many of 100 films that look like this one have the finding, where it is"
    " as frequent as among the films that the network was calibrated on, or as [results]"
    " prevalences sets for this site: of a rare finding even a clear picture may have few per cent."
    " The site's threshold is where the site wants to be alerted, not a border between"
    " ill and healthy: above it a finding may be absent, and below it present."
)

CONFIGURE_DESTINATION = "Name one under [[destinations]] in config.toml, then restart hilum."

STATES = {
    FilmState.RECEIVED: "waiting to be read",
    FilmState.ANALYSED: "read, answer being written",
    FilmState.ANSWERED: "answered",
    FilmState.NOT_ANALYSED: "not analysed",
    FilmState.FAILED: "failed",
    FilmState.FETCHED: "fetched as a prior, not answered",
}

KIND_WORDS = {kind.name: kind.says for kind in KINDS}


def local_in(zone: tzinfo | None) -> Callable[[datetime | None], str]:
    """Return what writes moments in a zone, with their UTC offset; None is the server's own."""

    def local(moment: datetime | None) -> str:
        return moment.astimezone(zone).isoformat(" ", "seconds") if moment else ""

    return local


def clock_in(zone: tzinfo | None) -> Callable[[datetime, datetime], str]:
    """Return what writes the time of day in a zone; with the date where it is not today's."""

    def clock(moment: datetime, now: datetime) -> str:
        there, here = moment.astimezone(zone), now.astimezone(zone)
        return f"{there:%H:%M}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"

    return clock


def full_name(name: str) -> list[str]:
    """Return each component group of a PN value, its components as words."""
    groups = (" ".join(group.replace("^", " ").split()) for group in name.split("="))
    return [group for group in groups if group]


def taken(film: SaysWhen) -> str:
    """Return when a film was taken, by its own clock, and whose time it is if not its own."""
    when = acquired(film, UTC)  # which zone a film without an offset is of, is not shown
    return when.text_with_source if when else "not stated"


def interval_in(zone: tzinfo) -> Callable[[SaysWhen, SaysWhen], str]:
    """Return what says how long before a film another was taken; "" where one has no date."""

    def apart(film: SaysWhen, prior: SaysWhen) -> str:
        return interval(acquired(film, zone), acquired(prior, zone))

    return apart


def day(moment: datetime | None) -> str:
    """Return a date as the sender's header has it."""
    return f"{moment:%Y-%m-%d}" if moment else "not stated"


def percent(probability: float | None, digits: int = 0) -> str:
    """Return a probability in [0, 1] as per cent; a small one is not rounded to nothing."""
    return "" if probability is None else statements.percent(probability, digits)


def kind(name: str) -> str:
    """Return what a result is, for a reader."""
    return KIND_WORDS.get(name, name.replace("_", " ").replace("-", " ").capitalize())


def size(size_bytes: int) -> str:
    """Return a file's size."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.1f} kB"


def bytes_(number: int) -> str:
    """Return a size from nothing to a whole disk."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def state(film: FilmRow) -> str:
    """Return a film's state, for a reader."""
    return STATES[film.state]


def tone(value: FilmState | DeliveryState) -> str:
    """Return how much a state wants to be seen: bad, waiting, quiet or good."""
    return {
        FilmState.FAILED: "bad",
        DeliveryState.DEAD: "bad",
        FilmState.RECEIVED: "waiting",
        FilmState.ANALYSED: "waiting",
        DeliveryState.PENDING: "waiting",
        FilmState.NOT_ANALYSED: "quiet",
        FilmState.FETCHED: "quiet",
        DeliveryState.CANCELLED: "quiet",
    }.get(value, "good")


def gone(film: FilmRow) -> list[FindingRow]:
    """Return the findings that were there on the prior film and are below their threshold now."""
    went = (Change.RESOLVED, Change.DECREASED)
    return [f for f in film.findings if not f.positive and f.change in went]


def most_telling(film: FilmRow) -> list[FindingRow]:
    """Return all findings: positives first by probability, the rest in their fixed order."""
    return [*film.positives, *(f for f in film.findings if not f.positive)]


def by_study(films: list[FilmRow]) -> list[list[FilmRow]]:
    """Group adjacent films of one study."""
    return [list(group) for _, group in groupby(films, key=lambda film: film.study_uid)]


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest fitting unit."""
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def retry_command(film: FilmRow, destination: str) -> str:
    """Return what ops type to send a film's dead letters again."""
    return f"hilum queue retry delivery:{film.uid}:{destination}"
