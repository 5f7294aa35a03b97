"""Groups of films that are measured apart: by source size, sex, age and view."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.data.record import Record

# fewer films are too few for a figure: the interval would span nearly everything
MIN_FILMS = 20

ALL = "all films"
# resolution goes with source, and source with label: this is the subset to quote
QUOTED = "1024 px films"

# years; NIH's list holds typing errors up to 414, which are no age
AGES = {"under 40 years": (0, 39), "40 to 59 years": (40, 59), "60 years and older": (60, 120)}


@dataclass(frozen=True)
class Subset:
    """Some of the films, by their place in the list."""

    name: str
    films: tuple[int, ...]


@dataclass(frozen=True)
class LeftOut:
    """A subset that was not measured, and why."""

    subset: str
    films: int
    reason: str

    def __str__(self) -> str:
        return f"{self.subset}: not measured, {self.reason}"


def subsets_of(records: Sequence[Record]) -> tuple[list[Subset], list[LeftOut]]:
    """Return the subsets that can be measured, all films first, and those left out.

    Films for which a list does not say the sex, age, view or size are in no subset of it.
    """
    measured = [Subset(ALL, tuple(range(len(records))))]
    left_out = []
    for attribute, group_of in _GROUPS.items():
        groups: dict[str, list[int]] = {}
        for index, record in enumerate(records):
            groups.setdefault(group_of(record), []).append(index)
        groups.pop("", None)
        if not groups:
            left_out.append(LeftOut(f"by {attribute}", 0, "the list does not state it"))
        for name in sorted(groups, key=_place):
            films = groups[name]
            if len(films) >= MIN_FILMS:
                measured.append(Subset(name, tuple(films)))
            else:
                reason = f"{len(films)} films are fewer than {MIN_FILMS}"
                left_out.append(LeftOut(name, len(films), reason))
    return measured, left_out


def _size(record: Record) -> str:
    return f"{record.source_px} px films" if record.source_px else ""


def _age(record: Record) -> str:
    years = -1 if record.age is None else record.age
    return next((name for name, (low, high) in AGES.items() if low <= years <= high), "")


def _place(name: str) -> tuple[int, str]:
    """Return the quoted subset first, ages as they rise, all else by the alphabet."""
    if name == QUOTED:
        return -1, name
    return (list(AGES).index(name) if name in AGES else 0), name


# the name of a film's group, empty where the list does not say
_GROUPS: dict[str, Callable[[Record], str]] = {
    "source size": _size,
    "sex": lambda record: record.sex and f"sex {record.sex}",
    "age": _age,
    "view": lambda record: record.view and f"view {record.view}",
}
