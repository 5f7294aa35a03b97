"""Benchmarks of comparison and results run, in a short form; what it prints is not judged here."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from film_lists import write_film_list
from films import make_film_ds
from invented import comparison as comparison_of_films
from pydicom.uid import JPEG2000Lossless

from inference.comparison.posture import POSTURE
from inference.comparison.result import MARK
from tests.benchmarks import (
    alignment,
    comparison,
    false_marks,
    opacities,
    opacity_sizes,
    reading,
    results,
    swap,
    worklist,
)


@pytest.fixture
def films(tmp_path):
    """Two patients with two films each, said to be of 1024 px."""
    listed = write_film_list(tmp_path / "films", patients=2)
    listed.write_text(listed.read_text().replace(",64,", ",1024,"))
    with (listed.parent / "pairs.csv").open("w", newline="") as file:
        names = [("prior", "current"), ("0_0.png", "0_1.png"), ("1_0.png", "1_1.png")]
        csv.writer(file).writerows(names)
    return listed


def test_the_alignment_is_measured_beside_other_methods(films, capsys):
    alignment.main(["--films", str(films), "--count", "1"])
    printed = capsys.readouterr().out
    for method in alignment.METHODS:
        assert method.split(" (")[0] in printed


def test_painted_opacities_are_looked_for_by_each_method(films, capsys):
    opacities.main(["--films", str(films), "--pairs", str(films.parent / "pairs.csv")])
    printed = capsys.readouterr().out
    assert "painted into 2 pairs" in printed
    for method in opacities.METHODS:
        assert method in printed


def test_opacities_of_each_size_are_painted_in_and_out(films, capsys):
    pairs = str(films.parent / "pairs.csv")
    opacity_sizes.main(["--films", str(films), "--pairs", pairs, "--count", "1"])
    printed = capsys.readouterr().out
    assert "1 pairs without change" in printed
    for said in (
        "nothing painted",
        "new",
        "gone",
        *(f"{size:.0%}" for size in opacity_sizes.SIZES),
    ):
        assert said in printed


def test_what_is_marked_of_films_without_change_is_told_by_condition(films, capsys):
    pairs = str(films.parent / "pairs.csv")
    false_marks.main(["--films", str(films), "--pairs", pairs, "--count", "1"])
    printed = capsys.readouterr().out
    assert "1 pairs without change" in printed
    assert "all" in printed
    assert " of 1" in printed


def test_false_marks_are_a_share_of_the_lungs_that_both_films_show():
    marked = np.zeros((40, 40), np.float32)
    marked[10:20, 10:20] = MARK  # a quarter of the lungs
    marked[24:26, 24:26] = -MARK
    marked[0:5, 0:5] = 0.9 * MARK  # too little to be marked
    lungs, overlap = np.zeros((2, 40, 40), bool)
    lungs[10:30, 10:40] = overlap[:, :30] = True
    found = replace(comparison_of_films(), structural=marked, lungs=lungs, overlap=overlap)
    assert false_marks.false_marks(found) == false_marks.FalseMarks(104 / 400, 2, posture=False)
    posture = replace(found, reason=f"AP film against PA film; {POSTURE}")
    assert false_marks.false_marks(posture).posture
    assert false_marks.false_marks(replace(found, comparable=False)) is None


def test_a_table_of_false_marks_counts_only_films_that_were_comparable():
    seen = [("PA", false_marks.FalseMarks(0.3, 2, posture=True)), ("PA", None), ("AP", None)]
    table = false_marks.table(seen)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows[0] == ("all", "1 of 3", "1", "30.0%", "1", "2.00", "1")
    assert rows[1] == ("AP", "0 of 1", "", "", "", "", "")
    assert rows[2][:3] == ("PA", "1 of 2", "1")


def test_both_orders_of_pairs_of_one_split_are_compared(films, capsys):
    pairs = str(films.parent / "pairs.csv")
    swap.main(["--films", str(films), "--pairs", pairs, "--split", "train", "--count", "1"])
    printed = capsys.readouterr().out
    assert "1 pairs of train patients" in printed
    assert "1 of 1" in printed
    assert "control" in printed


def test_a_comparison_is_timed_stage_by_stage(films, capsys):
    comparison.main(["--pairs", "1", "--data", str(films.parent)])
    printed = capsys.readouterr().out
    assert "1 comparisons: " in printed
    for stage in ("align", "lung fields", "difference", "SSIM"):
        assert f"  {stage}" in printed
    assert "another patient" in printed


def test_all_results_of_a_film_are_timed_and_weighed(capsys):
    results.main(["--rows", "250", "--columns", "200", "--repeats", "1"])
    printed = capsys.readouterr().out
    assert "14 positive, 250 x 200, with a prior" in printed
    for stage in ("summary capture", "finding captures", "report", "presentation state", "size"):
        assert f"  {stage}" in printed


def test_the_first_page_is_timed_for_each_search(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    worklist.main(["--films", "300", "--repeats", "1", "--only", "sqlite"])
    printed = capsys.readouterr().out
    assert "sqlite: 300 films" in printed
    for search in worklist.searches():
        assert f"  {search}" in printed


def test_reading_is_timed_by_syntax_and_a_compared_film_takes_a_part_of_it(capsys):
    reading.main(["--repeats", "1"])
    printed = capsys.readouterr().out
    for syntax in reading.SYNTAXES:
        assert f"{syntax.keyword} " in printed
    assert "compared, 1600 x 1400, halved 1 times: 0." in printed


def test_how_often_a_compared_film_is_halved_is_told():
    for side, halved in ((700, 0), (1600, 1), (3200, 2)):
        film = make_film_ds(rows=side, columns=64, transfer_syntax=JPEG2000Lossless)
        assert reading.share_when_compared(film, 1)[0] == halved
