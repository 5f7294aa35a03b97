"""The house rules: who imports whom, what is installed, what the lock and the pages say."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_group

from scp.cli import app

ROOT = Path(__file__).parents[2]
PACKAGES = ("scp", "inference", "training")
# what inference has no business with: network, database, clock
OUTSIDE = {
    "alembic", "asyncio", "dbos", "fastapi", "http", "httpx", "psycopg", "pynetdicom", "requests",
    "socket", "sqlalchemy", "sqlite3", "time", "urllib", "uvicorn",
}  # fmt: skip
VAGUE = {"utils", "util", "common", "helpers", "helper", "core", "misc"}
TESTS = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {"tests"}

MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("requirements.lock", "requirements-dev.lock")
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# a decision keeps the names of its day
OF_NOW = [page for page in PAGES if page.parent.name != "decisions"]


def name_of(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """Return the top-level names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import hides where it leads"
            yield node.module.split(".")[0]


def test_inference_has_no_network_no_database_and_no_clock():
    paths = [path for path in MODULES if path.is_relative_to(ROOT / "inference")]
    assert [name_of(path) for path in paths if OUTSIDE & set(imported(path))] == []


def test_a_dicom_file_is_read_where_a_deflated_one_is_limited():
    own = {"inference/image/dicom_file.py", "scp/dimse/conversion.py"}  # and what it made itself
    unlimited = re.compile(r"\bdcmread\(|\bzlib\.decompress\(|event\.(dataset|identifier)\b")
    found = [name_of(p) for p in MODULES if unlimited.search(p.read_text(encoding="utf-8"))]
    assert set(found) == own


def test_no_module_imports_the_tests():
    assert [name_of(path) for path in MODULES if TESTS & set(imported(path))] == []


def too_much(path):
    """Say what of a module has no telling name, or cannot be read in one go."""
    text = path.read_text(encoding="utf-8")
    if VAGUE & set(path.relative_to(ROOT).with_suffix("").parts):
        yield f"{name_of(path)}: the name tells nothing"
    if len(text.splitlines()) > 300:
        yield f"{name_of(path)} has more than 300 lines"
    if path.parent.name == "versions":
        return  # a migration is a list of tables, not a thought
    for node in ast.walk(ast.parse(text)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and node.end_lineno - node.lineno >= 60:
            yield f"{name_of(path)}: {node.name} has 60 lines or more"


def test_modules_have_telling_names_and_can_be_read_in_one_go():
    assert [fault for path in MODULES for fault in too_much(path)] == []


HEAVY = ["torch", "torchvision", "monai", "highdicom", "SimpleITK", "skimage", "scipy"]
LIGHT = (
    "scp.config.load, scp.processes.supervisor, scp.cli, scp.dimse.receiver, scp.pipeline.intake, "
    "scp.dashboard.app"
)


@pytest.mark.parametrize(
    "code",
    [
        f"import {LIGHT}",
        "import sys, scp.cli; sys.argv = ['hilum', 'receive', '--help']; scp.cli.main()",
    ],
    ids=["modules", "command"],
)
def test_what_needs_no_network_loads_no_big_library(code):
    said = f"import atexit, sys; atexit.register(lambda: print(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{said}\n{code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "set()"


def test_no_module_of_the_service_loads_monai_when_it_is_imported():
    # it costs each start 2 to 3 s; what it is needed for loads it when it is asked
    loads = [
        name_of(path)
        for path in MODULES
        if not path.is_relative_to(ROOT / "training")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "monai" in ast.unparse(node).replace(".", " ").split()
    ]
    assert loads == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_installed_package_is_ours_alone(package):
    # strangers of these names exist on the package index
    assert set(packages_distributions()[package]) == {PROJECT["name"]}


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="hilum")
    assert command.value == "scp.cli:main"
    assert callable(command.load())


@pytest.mark.parametrize("entry", PROJECT["entry-points"]["hilum.commands"].items())
def test_a_command_of_another_package_can_be_loaded(entry):
    assert callable(EntryPoint(*entry, group="hilum.commands").load())


def test_a_wheel_holds_all_that_the_service_needs(tmp_path, tiny_bundle):
    source = tmp_path / "source"
    trained = source / "inference" / "bundles" / "tiny"  # instead of the real one: it is large
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            source / package,
            ignore=shutil.ignore_patterns("__pycache__", "bundles"),
        )
    shutil.copytree(tiny_bundle, trained)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wanted = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert wanted <= held
    kinds = {Path(name).suffix for name in wanted}
    assert {".html", ".css", ".mako", ".safetensors", ".json", ".typed"} <= kinds
    packed = {name.split("/")[0] for name in held if ".dist-info" not in name}
    assert packed == set(PACKAGES)  # no tests, no docs


def locked(name):
    """Return the versions of a lock by package, and check that each has a hash."""
    text = re.sub(r"^\s*#.*\n", "", LOCKS[name], flags=re.M).strip()
    versions = {}
    for entry in re.split(r"\n(?=\S)", text):
        package, _, rest = entry.partition("==")
        assert "--hash=sha256:" in rest, f"{package} has no hash"
        versions[canonicalize_name(package.split("[")[0])] = rest.split()[0]
    return versions


@pytest.mark.parametrize("text", LOCKS.values(), ids=LOCKS)
def test_a_lock_names_no_host(text):
    assert re.search(r"://|--(extra-)?index-url|find-links|trusted-host", text) is None


EXTRAS = PROJECT["optional-dependencies"]
BESIDE = [*EXTRAS["training"], *EXTRAS["demo"], *EXTRAS["dev"]]


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *BESIDE])
def test_the_lock_satisfies_the_project(line):
    wanted = Requirement(line)
    assert wanted.specifier.contains(
        locked("requirements-dev.lock")[canonicalize_name(wanted.name)]
    )


def test_the_service_is_tested_with_the_versions_that_it_is_shipped_with():
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_the_service_is_shipped_without_what_only_we_need():
    ours = {canonicalize_name(Requirement(line).name) for line in BESIDE}
    shipped = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert not (ours - shipped) & locked("requirements.lock").keys()


def test_the_sbom_names_each_package_of_the_lock_by_version_and_hash():
    done = subprocess.run(
        [Path(sys.executable).with_name("cyclonedx-py"), "requirements", "requirements.lock"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    bom = json.loads(done.stdout)
    assert bom["bomFormat"] == "CycloneDX"
    listed = {canonicalize_name(one["name"]): one["version"] for one in bom["components"]}
    assert listed == {name: str(found) for name, found in locked("requirements.lock").items()}
    assert all(one["externalReferences"][0]["hashes"] for one in bom["components"])


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["training"]])
def test_each_dependency_is_explained(line):
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{re.escape(Requirement(line).name)}` \| \S", explained, flags=re.M)


def anchors(page):
    """Return what GitHub calls the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


TESTS_BY_FILE = {
    path.name: re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    for path in (ROOT / "tests").rglob("test_*.py")
}


@pytest.mark.parametrize("page", OF_NOW, ids=name_of)
def test_tests_named_on_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    functions = {name for found in TESTS_BY_FILE.values() for name in found}
    assert set(re.findall(r"`(test_\w+)`", text)) <= functions


@pytest.mark.parametrize("page", OF_NOW, ids=name_of)
def test_files_named_on_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:docker|docs|inference|scp|tests|training)/[\w./-]*)`", text)
    made = {"docker/.env"}  # by the site
    assert [path for path in named if path not in made and not (ROOT / path).exists()] == []
    modules = re.findall(r"python -m ((?:tests|training)[\w.]*)", text)
    files = [ROOT / Path(*module.split(".")).with_suffix(".py") for module in modules]
    assert [file for file in files if not file.exists()] == []


@pytest.mark.parametrize("page", OF_NOW, ids=name_of)
def test_commands_on_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.M))
    commands = get_group(app).commands
    known = set(commands) | set(PROJECT["entry-points"]["hilum.commands"])
    code = "\n".join(re.findall(r"`[^`\n]+`|^```.*?^```", text, flags=re.M | re.S))
    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= targets
    assert set(re.findall(r"(?:bin/|[`\s])hilum (?!is ready)([a-z][a-z-]*)", code)) <= known
    for group in ("queue", "user"):
        said = set(re.findall(rf"\bhilum {group} ([a-z]+)", code))
        assert said <= set(commands[group].commands)


def test_the_licence_is_the_one_that_the_project_names():
    assert PROJECT["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


GUARANTEES = [
    line
    for line in (ROOT / "docs" / "correctness.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not re.match(r"\| guaranteed \| (shown by|test) \|", line)
]


def missing(row):
    """Say which test that a guarantee names is not there.

    docs/correctness.md names a file, a test's name, or a file and its tests' names in words.
    """
    shown = row.split(" | ")[-1]
    files = re.findall(r"`(test_\w+\.py)`", shown)
    functions = re.findall(r"`(test_\w+)`", shown)
    if not (files or functions or shown.startswith("the same")):
        yield f"{row[:60]}: no test is named"
    yield from sorted(set(files) - TESTS_BY_FILE.keys())
    yield from sorted(set(functions) - {name for found in TESTS_BY_FILE.values() for name in found})
    for file, words in re.findall(r"`(test_\w+\.py)`: ([^|`]+)", shown):
        for said in re.sub(r"\(.*?\)", "", words).split(";"):
            slug = "_".join(re.findall(r"\w+", said.lower()))
            if not any(slug in name for name in TESTS_BY_FILE.get(file, ())):
                yield f"{file} has no test {said!r}"


def test_every_guarantee_names_tests_that_are_there():
    assert [fault for row in GUARANTEES for fault in missing(row)] == []


# words of an older English, or of a house of its own; each has a plain one
ODD = re.compile(
    r"\bmend(s|ed|ing)?\b|worker's hand|\bwherefore\b|\bof no account\b|\bstands? here\b"
    r"|\bby hand of\b|\bnought\b|\bwants? a look\b|\bc[ao]me to nothing\b|\bmade anew\b"
    r"|\bin earnest\b",
    re.IGNORECASE,
)
WRITTEN = [
    *(path for path in OF_NOW if path.name != "CHANGELOG.md"),
    *(path for path in MODULES if "migrations" not in path.parts),
    *(ROOT / "scp" / "dashboard" / "templates").glob("*.html"),
]


def test_pages_docs_messages_and_docstrings_are_plain_english():
    faults = [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in WRITTEN
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := ODD.search(line))
    ]
    assert faults == [], "say it in plain words: subject, verb, object (CONTRIBUTING.md, Words)"
