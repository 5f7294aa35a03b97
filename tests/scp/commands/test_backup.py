"""`hilum backup` and `hilum restore`, as an operator types them, on both databases."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from databases import ON_POSTGRESQL, new_database
from films import make_film_ds
from site_of_tests import Site
from sqlalchemy.orm import Session

from scp.archive import UNFINISHED, Archive
from scp.backup.manifest import read_manifest
from scp.backup.taking import Source, take
from scp.errors import ServiceError
from scp.index.heartbeats import Role, beat
from scp.monitoring.audit import Actor, Audit
from scp.pipeline.patient_actions import PatientFiles
from scp.processes.runtime import now

ROOT = Path(__file__).parents[3]


def film(number, **others):
    return make_film_ds(patient_id=f"BACKUP-{number}", seed=number, rows=32, columns=32, **others)


@pytest.fixture
def sqlite(tmp_path, sqlite_template):
    return Site(tmp_path / "site").fill(sqlite_template)


@pytest.fixture
def sites(backend, request, tmp_path):
    """A site with tables, and an empty one."""
    if backend == "sqlite":
        yield request.getfixturevalue("sqlite"), Site(tmp_path / "elsewhere")
        return
    server = request.getfixturevalue("postgresql_server")
    template = request.getfixturevalue("postgresql_template")
    with new_database(server, template) as full, new_database(server) as empty:
        yield Site(tmp_path / "site", full), Site(tmp_path / "elsewhere", empty)


@pytest.fixture
def hilum(inside):
    def run(site, *arguments, code=0):
        done = inside(*arguments, "--config", site.config)
        assert done.exit_code == code, done.output
        return done

    return run


def backup(hilum, site, *options, code=0):
    """Take a backup, and return its folder."""
    into = site.config.parent.parent / "backups"
    done = hilum(site, "backup", "--to", into, "--json", *options, code=code)
    return Path(json.loads(done.stdout)["folder"])


def taken(site, into, advance=lambda *_: None):
    with site.opened() as context:
        source = Source(context.engine, context.archive, site.config, "1", now)
        return take(source, into, None, advance).folder


def faults(hilum, site, *options, code=0):
    found = json.loads(hilum(site, "verify", "--json", *options, code=code).stdout)
    return found["looked_at"], [(one["uid"], one["fault"]) for one in found["faults"]]


def test_what_is_backed_up_is_whole_elsewhere_and_its_jobs_wait_there(sites, hilum):
    site, elsewhere = sites
    uids = [site.take(film(number)) for number in (1, 2)]
    site.answer(uids[0])
    refused = film(3)
    refused.SOPInstanceUID = "1.2.bad"
    site.take(refused)
    pending = f"film:{uids[0]}"
    schema = "dbos." if elsewhere.settings.database.url else ""
    site.sql(
        f"update {schema}workflow_status set status = 'PENDING', executor_id = 'work-gone-1'"
        " where workflow_uuid = :job",
        job=pending,
    )
    folder = backup(hilum, site)
    assert read_manifest(folder).counts == {"film": 2, "result": 1, "refused object": 1}
    assert folder.stat().st_mode & 0o077 == 0
    assert "whole" in hilum(elsewhere, "restore", folder, "--check").stdout
    assert not elsewhere.data_dir.exists()
    told = hilum(elsewhere, "restore", folder).stdout
    assert "1 jobs that ran then wait" in told
    assert elsewhere.files() == site.files()
    assert faults(hilum, elsewhere) == (4, [])
    states = elsewhere.sql(f"select workflow_uuid, status from {schema}workflow_status")
    assert dict(states) == {f"film:{uid}": "ENQUEUED" for uid in uids}
    trail = [(line["action"], line["target"]) for line in Audit(elsewhere.data_dir, now).lines()]
    assert trail[-1] == ("restored", str(folder))


def test_coreutils_can_check_a_backup(sqlite, hilum):
    sqlite.take(film(1))
    folder = backup(hilum, sqlite)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)


def test_a_second_backup_shares_the_files_of_the_first_and_outlives_it(sqlite, hilum, tmp_path):
    first_uid = sqlite.take(film(1))
    first = taken(sqlite, tmp_path / "backups")
    inodes = {p.name: p.stat().st_ino for p in (first / "data" / "archive").rglob("*.dcm")}
    later = first.with_name("hilum-20200101T000000Z")
    first.rename(later)
    sqlite.take(film(2))
    second = backup(hilum, sqlite, "--keep", "1")
    assert not later.exists()
    shared = {p.name: p.stat().st_ino for p in (second / "data" / "archive").rglob("*.dcm")}
    assert inodes.items() < shared.items()
    assert any(first_uid in name for name in shared)
    hilum(sqlite, "restore", second, "--check")


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=ON_POSTGRESQL)])
def test_what_comes_while_a_backup_is_taken_is_not_in_it_and_is_named_and_taken_in_later(
    sites, hilum, tmp_path
):
    site, elsewhere = sites
    site.take(film(1))
    came = []

    def advance(*_):
        if not came:
            came.append(site.take(film(2)))
            corrected = film(1)
            corrected.PatientName = "Other^Name"
            site.take(corrected)

    folder = taken(site, tmp_path / "backups", advance)
    told = hilum(elsewhere, "restore", folder, "--old", site.data_dir).stdout
    assert f"came after the backup: film {came[0]}" in told
    looked_at, named = faults(hilum, elsewhere, "--old", site.data_dir, code=1)
    assert (looked_at, len(named)) == (3, 2)
    hilum(elsewhere, "verify", "--old", site.data_dir, "--take-in")
    assert elsewhere.files() == site.files()
    assert faults(hilum, elsewhere, "--old", site.data_dir) == (3, [])
    names = elsewhere.sql("select patient_name from instance order by patient_name")
    assert [name for (name,) in names] == ["Other^Name", "Test^Film"]


def forget(site, number):
    with site.opened() as context:
        actor = Actor(Audit(site.data_dir, now), "test")
        PatientFiles(context.engine, context.archive, context.jobs, actor, now, 0, None).forget(
            number
        )


def test_who_is_forgotten_while_a_backup_is_taken_is_not_in_it(sites, hilum, tmp_path):
    site, elsewhere = sites
    kept, gone = (site.take(film(number)) for number in (1, 2))
    forgotten = []

    def advance(*_):
        if not forgotten:
            forgotten.append(forget(site, 2))

    folder = taken(site, tmp_path / "backups", advance)
    assert read_manifest(folder).counts == {"film": 1}
    assert [kept in p.name for p in (folder / "data" / "archive").rglob("*.dcm")] == [True]
    hilum(elsewhere, "restore", folder)
    assert elsewhere.sql("select uid from instance") == [(kept,)]
    assert gone not in (folder / "SHA256SUMS").read_text()


def test_who_was_forgotten_after_a_backup_is_named_when_it_brings_them_back(
    sqlite, hilum, tmp_path
):
    uid = sqlite.take(film(1))
    folder = backup(hilum, sqlite)
    forget(sqlite, 1)
    elsewhere = Site(tmp_path / "elsewhere")
    hilum(elsewhere, "restore", folder, "--old", sqlite.data_dir)
    _, named = faults(hilum, elsewhere, code=1)
    assert named == [(uid, "was forgotten and is here again")]


def damage(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: damage(next((folder / "data" / "archive").rglob("*.dcm"))),
        lambda folder: next((folder / "data" / "archive").rglob("*.dcm")).unlink(),
        lambda folder: damage(folder / "database.sqlite"),
        lambda folder: (folder / "SHA256SUMS").write_text(""),
        lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../../stranger"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{}"),
    ],
    ids=["film", "gone", "database", "list", "outside", "broken off", "manifest"],
)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(
    sqlite, hilum, tmp_path, harm
):
    sqlite.take(film(1))
    folder = backup(hilum, sqlite)
    harm(folder)
    elsewhere = Site(tmp_path / "elsewhere")
    assert "backup" in hilum(elsewhere, "restore", folder, code=1).output
    assert not elsewhere.data_dir.exists()


def run_and_kill(code, *arguments):
    """Run code that kills its own process."""
    preamble = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from scp.config.load import load_settings\nfrom scp.processes.runtime import *\n"
        "settings = load_settings(Path(sys.argv[1]))\n"
        "def die(*told):\n    if told[-2] == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", preamble + code, *map(str, arguments)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


def test_a_killed_restore_keeps_the_service_out_and_can_be_repeated(sites, hilum):
    site, elsewhere = sites
    for number in (1, 2, 3):
        site.take(film(number))
    folder = backup(hilum, site)
    code = (
        "from scp.backup.restoring import restore\n"
        "restore(Path(sys.argv[2]), settings, now(), None,"
        " lambda what, *of: what == 'restored' and die(*of))\n"
    )
    run_and_kill(code, elsewhere.config, folder)
    with pytest.raises(ServiceError, match=f"repeat hilum restore {folder}"):
        Archive(elsewhere.data_dir)
    hilum(elsewhere, "restore", folder)
    assert elsewhere.files() == site.files()
    assert faults(hilum, elsewhere) == (3, [])
    assert not (elsewhere.data_dir / UNFINISHED).exists()


def test_a_restore_killed_before_its_last_act_is_repeated_too(sites, hilum):
    site, elsewhere = sites
    site.take(film(1))
    folder = backup(hilum, site)
    hilum(elsewhere, "restore", folder)
    sums = read_manifest(folder).sums_sha256
    (elsewhere.data_dir / UNFINISHED).write_text(f"{sums}\n{folder}")
    hilum(elsewhere, "restore", folder)
    assert faults(hilum, elsewhere) == (1, [])


def test_a_killed_backup_leaves_nothing_that_could_be_restored(sqlite, hilum, tmp_path):
    for number in (1, 2, 3):
        sqlite.take(film(number))
    into = tmp_path / "backups"
    code = (
        "from scp.backup.taking import Source, take\n"
        "with open_context(settings) as context:\n"
        "    source = Source(context.engine, context.archive, Path(sys.argv[1]), '1', now)\n"
        "    take(source, Path(sys.argv[2]), None, die)\n"
    )
    run_and_kill(code, sqlite.config, into)
    (left,) = [path for path in into.iterdir() if path.is_dir()]
    elsewhere = Site(tmp_path / "elsewhere")
    assert "broken off" in hilum(elsewhere, "restore", left, code=1).output
    folder = backup(hilum, sqlite)
    assert [path for path in into.iterdir() if path.is_dir()] == [folder]


def test_nothing_is_restored_over_what_is_there_nor_under_a_running_service(sites, hilum):
    site, _ = sites
    site.take(film(1))
    folder = backup(hilum, site)
    before = site.files()
    told = " ".join(hilum(site, "restore", folder, code=78).output.split())
    assert f"mv {site.data_dir} {site.data_dir}.before" in told
    with site.opened() as context, Session(context.engine) as session, session.begin():
        beat(session, Role("work-1", "work", os.getpid(), {}), now() + timedelta(minutes=1))
    assert "stop it first" in hilum(site, "restore", folder, code=78).output
    assert site.files() == before


def test_an_empty_data_dir_with_a_full_database_is_refused(tmp_path, hilum, postgresql_server):
    with new_database(postgresql_server) as url:
        site, other = Site(tmp_path / "site", url), Site(tmp_path / "other", url)
        site.take(film(1))
        folder = backup(hilum, site)
        assert "createdb" in hilum(other, "restore", folder, code=78).output
        sqlite = Site(tmp_path / "sqlite")
        assert "postgresql" in hilum(sqlite, "restore", folder, code=1).output


def test_a_film_that_was_damaged_before_is_named_and_a_good_copy_is_not_replaced(
    sqlite, hilum, tmp_path
):
    good, bad = sqlite.take(film(1)), sqlite.take(film(2))
    first = taken(sqlite, tmp_path / "backups")
    first.rename(first.with_name("hilum-20200101T000000Z"))
    later = sqlite.take(film(3))
    for path in (sqlite.data_dir / "archive").rglob("*.dcm"):
        if bad in path.name or later in path.name:
            damage(path)
        if good in path.name:
            path.unlink()
    folder = backup(hilum, sqlite, code=1)
    named = [(one.uid, one.fault) for one in read_manifest(folder).damaged]
    assert named == [(later, "is not what was kept")]
    elsewhere = Site(tmp_path / "elsewhere")
    assert later in hilum(elsewhere, "restore", folder).stdout
    assert faults(hilum, elsewhere, code=1)[1] == [(later, "is not what was kept")]


def test_what_cannot_be_backed_up_is_told_and_nothing_is_left(sqlite, hilum, tmp_path):
    sqlite.take(film(1))
    inside = sqlite.data_dir / "backups"
    assert "in data_dir" in hilum(sqlite, "backup", "--to", inside, code=1).output
    no_data = Site(tmp_path / "none")
    assert "mounted" in hilum(no_data, "backup", "--to", tmp_path / "b", code=78).output


def test_a_backup_of_a_newer_release_is_refused(sqlite, hilum, tmp_path):
    sqlite.take(film(1))
    folder = backup(hilum, sqlite)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"revision": "9999", "release": "77.1"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "77.1" in hilum(Site(tmp_path / "elsewhere"), "restore", folder, code=1).output
