"""docs/architecture.md leads to the right door: what it names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_TOP = {"config.toml", "docs", "inference", "pyproject.toml", "scp", "tests", "training"}
_SECTION = re.search(r"^## Where is .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)[0]
ROWS = [
    line
    for line in _SECTION.splitlines()
    if line.startswith("| ") and not line.startswith(("| question", "| to add"))
]


def is_path(text):
    return text.split("/")[0] in _TOP


def names_in(path):
    """Return all that a module defines, in dots: classes, functions, methods, top-level names."""
    if path.suffix != ".py":
        return set()
    found = set()

    def look(body, prefix=""):
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.update({node.name, prefix + node.name})
                look(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(target.id for target in targets if isinstance(target, ast.Name))

    look(ast.parse(path.read_text(encoding="utf-8")).body)
    return found


def named(row):
    """Return each file that a row names, with the names in it that follow."""
    found = []
    for text in re.findall(r"`([^`]+)`", row):
        if is_path(text):
            found.append((text, []))
        elif found and re.fullmatch(r"\w+(\.\w+)?", text):
            found[-1][1].append(text)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_the_way_that_a_row_shows_leads_somewhere(row):
    ways = named(row)
    assert ways
    for path, names in ways:
        file = ROOT / path
        assert file.exists(), path
        if file.suffix == ".py":
            assert set(names) <= names_in(file), path


def test_every_room_is_on_the_page():
    rooms = re.split(r"^## Rooms$", PAGE, flags=re.MULTILINE)[1]
    for package in ("inference", "scp", "training"):
        below = rooms.split(f"| `{package}/` | |")[1].split("\n\n")[0]
        said = set(re.findall(r"`([\w.]+/?)`", below.replace("`load.py`", "")))
        there = {
            path.name + "/" * path.is_dir()
            for path in (ROOT / package).iterdir()
            if not path.name.startswith("__")
            and (path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py"))))
        }
        assert there <= said, package
