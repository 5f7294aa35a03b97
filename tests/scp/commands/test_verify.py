"""`hilum verify`: what the index says is on the disk, and nothing else is."""

import json
import os
import shutil

import pytest
from bench import open_bench
from films import make_film_ds
from sqlalchemy.orm import Session

from scp.index import films
from scp.index.forgetting import forget_films
from scp.index.schema.tables import FilmState

LONG_AGO = 1_700_000_000


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path / "var", tiny_bundle) as bench:
        yield bench


@pytest.fixture
def verify(inside, tmp_path, bench):
    path = tmp_path / "config.toml"
    path.write_text("[archive]\nreserve_mb = 0\n", encoding="utf-8")

    def run(*options):
        done = inside("verify", *options, "--json", "--config", path)
        found = json.loads(done.stdout[done.stdout.index("{") :])  # the log of taking in is above
        faults = [
            (one["what"], one["uid"], one["fault"], one["repaired"]) for one in found["faults"]
        ]
        assert done.exit_code == (0 if all(fault[-1] for fault in faults) else 1)
        return found["looked_at"], faults

    return run


def data_dir(bench):
    return bench.stores.archive.data_dir


def files(bench, folder):
    return sorted(path for path in (data_dir(bench) / folder).rglob("*") if path.is_file())


def left_over(path):
    """Age a file: what is young may get its row in this moment."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_a_whole_archive_is_whole_and_every_file_is_looked_at(bench, verify):
    uid = bench.take(make_film_ds())
    results = len(bench.answer(uid).results)
    for path in files(bench, "archive") + files(bench, "results"):
        left_over(path)
    assert verify() == (1 + results, [])


def test_a_film_or_a_result_that_is_gone_or_changed_is_named(bench, verify):
    gone, cut = (bench.take(make_film_ds(seed=seed)) for seed in (1, 2))
    bench.answer(gone)
    (result, *_) = files(bench, "results")
    result.write_bytes(result.read_bytes()[:-2] + b"!!")
    for path in files(bench, "archive"):
        if gone in path.name:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-100])
    _, faults = verify()
    assert set(faults) == {
        ("film", gone, "is gone", False),
        ("film", cut, "is not what was kept", False),
        ("result", result.stem, "is not what was kept", False),
    }


def test_results_that_a_killed_step_left_are_deleted_where_that_is_asked_for(bench, verify):
    uid = bench.take(make_film_ds())
    bench.answer(uid)
    (result, *_) = files(bench, "results")
    orphan = left_over(shutil.copy(result, result.with_name("2.25.77.dcm")))
    young = shutil.copy(result, result.with_name("2.25.78.dcm"))
    assert verify()[1] == [("result", "2.25.77", "is not in the index", False)]
    assert orphan.exists()
    assert verify("--repair")[1] == [("result", "2.25.77", "is not in the index", True)]
    assert not orphan.exists()
    assert young.exists(), "its row may come in this moment"
    assert verify()[1] == []


def test_a_film_that_the_index_does_not_know_is_taken_in_where_that_is_asked_for(bench, verify):
    uid = bench.take(make_film_ds())
    (film,) = files(bench, "archive")
    contents = film.read_bytes()
    bench.stores.jobs.forget(uid)
    with Session(bench.stores.engine) as session, session.begin():
        forget_films(session, [films.film(session, uid)])
    left_over(film)
    fault = ("film", uid, "is not in the index")
    assert verify("--repair")[1] == [(*fault, False)]
    assert verify("--take-in")[1] == [(*fault, True)]
    assert verify() == (1, [])
    assert film.read_bytes() == contents
    assert bench.answer(uid).state is FilmState.ANSWERED


def test_a_file_that_cannot_be_taken_in_stays_and_the_others_are_taken_in(bench, verify):
    uid = bench.take(make_film_ds())
    (film,) = files(bench, "archive")
    bench.stores.jobs.forget(uid)
    with Session(bench.stores.engine) as session, session.begin():
        forget_films(session, [films.film(session, uid)])
    broken = film.parent / "1.2.3-0.dcm"
    broken.write_bytes(b"no DICOM")
    for path in (film, left_over(broken)):
        left_over(path)
    found = {one[1]: one[-1] for one in verify("--take-in")[1]}
    assert found == {uid: True, "1.2.3": False}
    assert broken.exists()
