"""Docstrings say what a caller needs: shapes of arrays, and the errors to expect."""

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("inference", "training", "scp")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

_SIZE = r"(\.\.\.|[\w*+/-]{1,12})"
# "(rows, columns)", "(n, 2)", "(14,)"; or the words for it
SHAPE = re.compile(rf"\({_SIZE},( ?{_SIZE},)*( ?{_SIZE})?\)|\b(same|any) shape\b")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names_in(node: ast.AST) -> set[str]:
    """Return the names that an expression uses; in quoted annotations too."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found |= set(re.findall(r"\w+", part.value))
    return found


@cache
def arrays() -> set[str]:
    """Return the names of array types: NumPy's, PyTorch's, and every alias of ours for one."""
    found = {"ndarray", "NDArray", "Tensor"}
    for path in MODULES:
        for node in parsed(path).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                aliased = names_in(node.value.value) & {"NDArray", "ndarray"}
                found |= {one.id for one in node.targets if isinstance(one, ast.Name) and aliased}
    return found


@cache
def errors() -> dict[str, set[str]]:
    """Return every error of ours with the names that tell of it: its own and its bases'."""
    bases = {
        node.name: {name for base in node.bases for name in names_in(base)}
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    }

    def lineage(name: str) -> set[str]:
        return {name}.union(*(lineage(base) for base in bases.get(name, set())))

    lines = {name: lineage(name) for name in bases}
    return {
        name: line
        for name, line in lines.items()
        if any(issubclass(getattr(builtins, one, object), Exception) for one in line)
    }


def documented(path: Path) -> Iterator[tuple[str, list[ast.expr], ast.FunctionDef | None, str]]:
    """Yield each public class and function: name, annotations, the function, its docstring."""
    for node in parsed(path).body:
        if getattr(node, "name", "_").startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef) and not is_overload(node):
            yield node.name, annotations(node), node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            doc = ast.get_docstring(node) or ""
            fields = [one.annotation for one in node.body if isinstance(one, ast.AnnAssign)]
            yield node.name, fields, None, doc
            for one in node.body:
                if not isinstance(one, ast.FunctionDef):
                    continue
                if one.name == "__init__" or not one.name.startswith("_"):
                    own = ast.get_docstring(one) or ""
                    whole = f"{doc}\n{own}" if one.name == "__init__" else own
                    yield f"{node.name}.{one.name}", annotations(one), one, whole


def is_overload(function: ast.FunctionDef) -> bool:
    return any("overload" in names_in(one) for one in function.decorator_list)


def annotations(function: ast.FunctionDef) -> list[ast.expr]:
    given = function.args
    own = [one.annotation for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [one for one in (*own, function.returns) if one is not None]


def own_parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function holds, without the functions inside it."""
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.FunctionDef | ast.Lambda):
            yield part
            yield from own_parts(part)


def raised(function: ast.FunctionDef, module: ast.Module) -> set[str]:
    """Return our errors that a function raises, itself or by a private function of its module.

    Functions inside it count for nothing: others call them.
    """
    private = {
        node.name: node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
    }
    found, seen, left = set(), set(), [function]
    while left:
        parts = list(own_parts(left.pop()))
        caught = any(isinstance(part, ast.ExceptHandler) for part in parts)
        for part in parts:
            if isinstance(part, ast.Raise) and part.exc is not None:
                made = part.exc.func if isinstance(part.exc, ast.Call) else part.exc
                found |= names_in(made) & errors().keys()
            elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                below = private.get(part.func.id)
                if below is not None and below.name not in seen and not caught:
                    seen.add(below.name)
                    left.append(below)
    return found


@pytest.mark.parametrize("package", ["inference", "training"])
def test_who_takes_or_returns_an_array_says_its_shape(package):
    faults = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if path.is_relative_to(ROOT / package)
        for name, types, _, doc in documented(path)
        if any(names_in(one) & arrays() for one in types) and not SHAPE.search(doc)
    ]
    assert faults == [], 'the docstring needs a shape, as "(rows, columns)" or "of any shape"'


@pytest.mark.parametrize("package", PACKAGES)
def test_who_raises_an_error_of_ours_names_it(package):
    faults = [
        f"{path.relative_to(ROOT)}: {name} raises {error}"
        for path in MODULES
        if path.is_relative_to(ROOT / package) and "commands" not in path.parts
        for module in [parsed(path)]
        for name, _, function, doc in documented(path)
        if function is not None
        for error in sorted(raised(function, module))
        if not any(re.search(rf"\b{one}\b", doc) for one in errors()[error])
    ]
    assert faults == [], "the docstring needs the name of the error, or of the kind it is of"
