"""Who may import whom: rooms are in layers, with no import upward and none in a circle."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("inference", "scp", "training")

# From the ground up: a module imports its own room and those before it in this list. A room is a
# folder of a package, or a module beside the folders.
FLOORS = {
    "inference": (
        "errors", "settings", "cardiothoracic", "findings", "image", "statements", "comparison",
        "model", "drawing",
    ),
    "scp": (
        "errors", "config", "archive", "outcomes", "dimse", "matching", "index", "monitoring",
        "results", "pipeline", "backup", "dashboard", "processes", "commands", "cli",
    ),
    "training": (
        "errors", "settings", "data", "progress", "loop", "evaluation", "classifier", "bundle",
        "input_check", "lungs", "heart", "change", "commands", "cli",
    ),
}  # fmt: skip
MAY_IMPORT = {
    "inference": {"inference"},
    "scp": {"scp", "inference"},
    "training": {"training", "inference"},
}
# rooms that know less than their floor lets them
APART = {
    "scp.config": {"scp.config", "scp.errors"},
    "scp.dimse": {"scp.dimse", "scp.config", "scp.errors", "scp.outcomes"},
    "scp.matching": {"scp.matching", "scp.errors"},
    "scp.outcomes": {"scp.outcomes", "scp.config", "scp.errors"},
}


@cache
def modules():
    """Return every module by its dotted name; migrations are Alembic's own."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = path
    return found


@cache
def imported(name):
    """Return the modules of ours that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (below & modules().keys()) or {node.module}
    return (found & modules().keys()) - {name}


def room(name):
    """Return the room of a module: "scp.index" of "scp.index.worklist.query"."""
    return ".".join(name.split(".")[:2])


def floor(name):
    package, _, rest = name.partition(".")
    return FLOORS[package].index(rest.split(".")[0]) if rest else -1


def test_every_room_has_its_floor():
    rooms = {room(name) for name in modules() if "." in name}
    assert rooms == {f"{package}.{one}" for package, floors in FLOORS.items() for one in floors}


def faults(name):
    package = name.split(".")[0]
    for other in imported(name):
        if other.split(".")[0] not in MAY_IMPORT[package]:
            yield f"{name} imports {other}: {package} must not"
        elif other.split(".")[0] == package and "." in name:
            if floor(other) > floor(name):
                yield f"{name} imports {other}, which is above it"
            if room(other) not in APART.get(room(name), {room(other)}):
                yield f"{name} imports {other}: {room(name)} knows nothing of it"


def test_a_module_imports_only_from_its_own_floor_and_below():
    assert [fault for name in modules() for fault in faults(name)] == []


def test_no_modules_import_each_other_in_a_circle():
    done, under_way = set(), []

    def follow(name):
        assert name not in under_way, " -> ".join([*under_way[under_way.index(name) :], name])
        if name not in done:
            under_way.append(name)
            for other in sorted(imported(name)):
                follow(other)
            done.add(under_way.pop())

    for name in modules():
        follow(name)


@pytest.mark.parametrize("part", ["classifier", "input_check", "lungs", "heart"])
def test_each_trained_part_has_the_same_three_modules_to_begin_with(part):
    assert {f"training.{part}.{name}" for name in ("examples", "train", "evaluate")} <= set(
        modules()
    )
