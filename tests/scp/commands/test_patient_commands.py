"""`hilum patient`, as an operator types it."""

import json
from functools import partial

import pytest
from bench import open_bench
from films import make_film_ds


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path / "var", tiny_bundle) as bench:
        yield bench


@pytest.fixture
def hilum(inside, tmp_path, bench):
    """Run a command on the films of the bench."""
    assert bench is not None
    path = tmp_path / "config.toml"
    path.write_text("[archive]\nreserve_mb = 0\n", encoding="utf-8")
    return partial(_with, inside, path)


def _with(inside, config, *arguments, stdin=None):
    return inside("patient", *arguments, "--config", config, stdin=stdin)


def show(hilum, *arguments):
    return json.loads(hilum("show", *arguments, "--json").stdout)


def test_show_tells_all_that_the_index_holds_and_which_ids_are_nearly_the_same(bench, hilum):
    uid = bench.take(make_film_ds(patient_id="K-7", patient_name="Test^Name"))
    bench.take(make_film_ds(patient_id="k7", issuer="WARD", seed=2))
    shown = show(hilum, "K-7")
    (patient,) = shown["patients"]
    (film,) = patient["films"]
    assert (film["uid"], film["name"], film["birth_date"]) == (uid, "Test^Name", "19600101")
    (near,) = shown["nearly_the_same"]
    assert near["differs_in"] == ["spaces or punctuation", "upper and lower case", "the issuer"]
    text = hilum("show", stdin="K-7\n").stdout  # asked for: no shell remembers it
    assert uid in text
    assert "nearly the same" in text


def test_show_of_an_id_that_is_not_here_says_so_without_repeating_it(hilum):
    done = hilum("show", "SECRET-ID")
    assert done.exit_code == 1
    assert "holds no film" in done.output
    assert "SECRET-ID" not in done.output


def test_merge_asks_says_what_it_changed_and_is_audited(bench, hilum, inside, tmp_path):
    bench.take(make_film_ds(patient_id="WRONG"))
    bench.take(make_film_ds(patient_id="RIGHT", seed=2))
    refused = hilum("merge", "WRONG", "--into", "RIGHT", stdin="n\n")
    assert refused.exit_code != 0
    assert len(show(hilum, "WRONG")["patients"][0]["films"]) == 1
    done = hilum("merge", "WRONG", "--into", "RIGHT", "--yes")
    assert done.exit_code == 0
    assert "1 film moved from patient:1 to patient:2" in " ".join(done.stdout.split())
    wrong, right = show(hilum, "WRONG")["patients"][0], show(hilum, "RIGHT")["patients"][0]
    assert (wrong["films"], wrong["merged_into"], len(right["films"])) == ([], 2, 2)
    assert right["films"][0]["corrected"][0]["from_patient"] == 1
    trail = inside("audit", "--config", tmp_path / "config.toml").stdout
    assert "merged" in trail
    assert not {"WRONG", "RIGHT", "Test^Film"} & set(trail.split('"'))


def test_move_takes_a_film_or_a_whole_study(bench, hilum):
    ds = make_film_ds(patient_id="WRONG")
    bench.take(ds)
    done = hilum("move", ds.StudyInstanceUID, "--into", "RIGHT", "--into-issuer", "WARD", "--yes")
    assert done.exit_code == 0
    (patient,) = show(hilum, "RIGHT", "--issuer", "WARD")["patients"]
    assert [film["uid"] for film in patient["films"]] == [ds.SOPInstanceUID]
    assert hilum("move", "1.2.3", "--into", "RIGHT", "--yes").exit_code == 1


def test_forget_says_what_it_keeps_and_why(bench, hilum):
    bench.take(make_film_ds(patient_id="GONE"))
    done = hilum("forget", "GONE", "--yes")
    assert done.exit_code == 0
    said = " ".join(done.stdout.split())
    assert "1 film" in said
    assert "Kept: the audit trail" in said
    assert "hilum cannot delete" in said
    assert hilum("show", "GONE").exit_code == 1
