"""What no change looks like: films exposed again, pairs, the null of a bundle, what is told."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from film_lists import write_film_list
from films import chest
from invented import invented_null
from PIL import Image
from typer.testing import CliRunner

from inference.comparison.alignment import align, at_working_size
from inference.comparison.change_null import SHARES, ChangeNullDistribution, Condition, log_odds
from inference.findings import LABELS, ModelIdentity, Prediction
from inference.image.film import Film, View
from inference.model.bundle import load_bundle
from inference.model.engine import Engine
from inference.model.network import FindingNetwork
from training.bundle.files import with_weights
from training.bundle.parts import NULL, BundleExists, NoPart, with_part
from training.change.crossfit import crossfitted, judged
from training.change.evaluate import change_discrimination, false_changes, measure_change, tables
from training.change.film_pairs import BadPairList, FilmPair, read_pairs
from training.change.null import (
    Unchanged,
    bounded,
    differences_of,
    exposure_predictions,
    null_of,
    pair_predictions,
    read_out_of_fold,
    read_unchanged,
    write,
)
from training.classifier.cross_validation import HELD, NoFolds
from training.cli import app
from training.data.film_list import BadFilmList, Record, Source
from training.data.reexposure import exposed_again
from training.loop import BEST, CHECKPOINT

pytestmark = pytest.mark.xdist_group("change")  # its fixtures are made once


def write_pairs(folder, rows, columns=("prior", "current")):
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder / "pairs.csv"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twelve patients with two large films each; patient 8's second film shows a mass."""
    listed = write_film_list(tmp_path_factory.mktemp("films"), patients=12)
    with listed.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["source_px"] = "1024"
        row["Mass"] = str(int(row["file"] == "8_1.png"))
    rows[-1]["source_px"] = "64"
    with listed.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return listed


@pytest.fixture(scope="module")
def pairs(films):
    return write_pairs(films.parent, [(f"{k}_0.png", f"{k}_1.png") for k in range(12)])


@pytest.fixture(scope="module")
def records(films):
    return Source(films).records()


def prediction(probabilities) -> Prediction:
    return Prediction(
        probabilities=np.asarray(probabilities, np.float32),
        thresholds=np.full(14, 0.5, np.float32),
        heatmaps=np.zeros((14, 2, 2), np.float32),
        model=ModelIdentity("seeded", "1", "0" * 64),
    )


def test_a_film_exposed_again_is_the_same_chest_laid_otherwise():
    film = Film(chest(512, 448), View.PA, (0.2, 0.2))
    again = [exposed_again(film, seed) for seed in (1, 1, 2)]
    assert np.array_equal(again[0].pixels, again[1].pixels)
    assert again[0].pixels.shape != again[2].pixels.shape or np.any(
        again[0].pixels != again[2].pixels
    )
    assert (again[0].view, again[0].spacing_mm) == (film.view, film.spacing_mm)
    for one in again:
        assert one.pixels.min() >= 0
        assert one.pixels.max() <= 1
        found = align(at_working_size(one.pixels), at_working_size(film.pixels))
        assert abs(found.rotation_deg) < 6
        assert 0.85 < found.scale < 1.2
        assert not found.implausible


def test_pairs_of_films_that_are_listed_and_large_are_read(pairs, records):
    listed = read_pairs([pairs], records)
    assert len(listed) == 11  # one film of patient 11 was made from 64 pixels
    assert {pair.prior.patient == pair.current.patient for pair in listed} == {True}
    changed = [pair for pair in listed if pair.labels.any()]
    assert [pair.current.patient for pair in changed] == ["8"]
    assert changed[0].labels[LABELS.index("Mass")] == 1
    assert changed[0].split == "train"


def test_a_list_of_pairs_that_cannot_be_used_is_refused(tmp_path, records):
    with pytest.raises(BadPairList, match="No such file"):
        read_pairs([tmp_path / "none.csv"], records)
    with pytest.raises(BadPairList, match="no column 'current'"):
        read_pairs([write_pairs(tmp_path, [("0_0.png",)], ["prior"])], records)
    with pytest.raises(BadPairList, match="no pair of films of 512 px"):
        read_pairs([write_pairs(tmp_path, [("x.png", "y.png")])], records)


@pytest.fixture(scope="module")
def measured(tiny_bundle, pairs, records, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "null"
    with Engine(load_bundle(tiny_bundle), device="cpu") as engine:
        write(null_of(read_unchanged(engine, records, read_pairs([pairs], records))), out)
    return out


def test_the_null_is_what_films_exposed_again_differ_by(measured, tiny_bundle, records):
    written = ChangeNullDistribution.model_validate_json((measured / NULL.spec).read_bytes())
    held = [record for record in records if record.split == "val"]
    assert written.exposures == 4 * len(held)
    assert set(written.conditions) == set(Condition)
    with Engine(load_bundle(tiny_bundle), device="cpu") as engine:
        sizes = np.abs(differences_of(exposure_predictions(engine, held, 4)))
    spread = [written.spread[label] for label in LABELS]
    assert ((sizes > np.array(spread) + 1e-4).mean(axis=0) <= 0.125).all()
    for condition in Condition:  # one pair of a val or train patient is no measurement
        assert "and 59 are needed" in written.unnamed(condition)
        assert written.critical("Mass", condition) == float("inf")


def fold(folder, seed, pooling, names):
    """A part of a cross-validation that held these films; its network is random."""
    torch.manual_seed(seed)
    network = FindingNetwork("resnet18", pooling=pooling)
    folder.mkdir(parents=True)
    torch.save({"average": network.state_dict()}, folder / CHECKPOINT)
    torch.save({"settings": {"architecture": "resnet18", "pooling": pooling}}, folder / BEST)
    np.savez(folder / HELD, names=names)
    return network


def test_films_are_read_by_the_network_that_they_did_not_teach(
    tiny_bundle, pairs, records, tmp_path
):
    bundle, listed = load_bundle(tiny_bundle), read_pairs([pairs], records)
    pooling = bundle.metadata.hilum.pooling
    names = sorted({record.name for record in records if record.split != "test"})
    odd = [name for name in names if int(name.split("_")[0]) % 2]
    even = [name for name in names if name not in odd]
    parts = [
        fold(tmp_path / "folds" / f"fold-{k}", k, pooling, held)
        for k, held in enumerate((odd, even))
    ]
    measured = read_out_of_fold(bundle, tmp_path / "folds", records, listed, "cpu")
    still = [pair for pair in listed if pair.still and pair.condition]
    assert {pair.current.name for pair in measured.pairs} == {pair.current.name for pair in still}
    for pair, said in zip(measured.pairs, measured.predictions, strict=True):
        network = bundle.network()  # reads test films
        if pair.split != "test":
            network = parts[0 if pair.current.name in odd else 1]
        reads = with_weights(bundle, network, tmp_path / f"{pair.current.name}")
        with Engine(reads, device="cpu") as engine:
            ((then, now),) = pair_predictions(engine, [pair])
        assert np.allclose(said[0].probabilities, then.probabilities, atol=1e-5)
        assert np.allclose(said[1].probabilities, now.probabilities, atol=1e-5)
    held = [record for record in records if record.split == "val"]
    assert len(measured.exposed) == len(measured.patients) == 4 * len(held)


def test_folds_without_a_finished_network_measure_nothing(tiny_bundle, pairs, records, tmp_path):
    with pytest.raises(NoFolds, match="no network of a cross-validation"):
        read_out_of_fold(load_bundle(tiny_bundle), tmp_path, records, read_pairs([pairs], records))


def noisy(records, folder, count, views=("PA", "PA")):
    """Pairs of a film and noise: what a network says differs."""
    noise = np.random.default_rng(0).integers(0, 256, (72, 64), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    one = replace(records[0], view=views[0])
    other = replace(records[0], path=folder / "noise.png", view=views[1])
    return [FilmPair(one, other)] * count


def test_a_condition_is_measured_by_pairs_of_its_own(tiny_bundle, records, tmp_path):
    listed = [*noisy(records, tmp_path, 59), *noisy(records, tmp_path, 58, ("AP", "PA"))]
    with Engine(load_bundle(tiny_bundle), device="cpu") as engine:
        made = null_of(read_unchanged(engine, records, listed))
        difference = np.abs(differences_of(pair_predictions(engine, listed[:1])))[0]
    pairs = {condition: one.pairs for condition, one in made.conditions.items()}
    assert pairs == {Condition.PA: 59, Condition.AP: 0, Condition.PA_AP: 58, Condition.BEDSIDE: 0}
    assert made.conditions[Condition.PA].patients == 1
    assert made.unnamed(Condition.PA) == ""
    assert "on 58 pairs of such films" in made.unnamed(Condition.PA_AP)
    # no pair that was measured gets a change named
    critical = [made.critical(label, Condition.PA) for label in LABELS]
    assert (difference <= np.array(critical) + 1e-3).all()


def test_a_pair_is_judged_by_a_null_that_did_not_see_its_patient():
    """One of 60 patients differs from all others: its own null would have hidden that."""
    sure = np.full(14, 0.5, np.float32)
    model = ModelIdentity("seeded", "1", "0" * 64)

    def said(probability):
        return Prediction(
            np.full(14, probability, np.float32), sure, np.zeros((14, 4, 4), np.float32), model
        )

    pairs = []
    for number in range(61):
        record = Record(
            Path("film.png"),
            str(number),
            "test" if number == 60 else "train",
            (0,) * 14,
            source_px=1024,
            view="PA",
        )
        pairs.append(FilmPair(record, record))
    words = [(said(0.4), said(0.42))] * 59 + [(said(0.1), said(0.9))] + [(said(0.4), said(0.42))]
    measured = Unchanged(
        tuple(pairs), tuple(words), np.full((4, 14), 0.1), tuple(map(str, range(4)))
    )
    assert not judged(words[59], null_of(measured), Condition.PA)[1]
    rows = {one.films: one for one in crossfitted(measured)}
    assert (rows["train"].pairs, rows["train"].named, rows["train"].beyond) == (60, 1, 1)
    assert (rows["test"].pairs, rows["test"].patients, rows["test"].beyond) == (1, 1, 0)
    assert rows["all"].beyond == 1


def test_a_bound_holds_for_a_share_with_95_percent_confidence():
    assert bounded(np.arange(58.0))[-1] == bounded(np.arange(58.0))[2]  # none for 95 % of pairs
    assert len(bounded(np.arange(58.0))) == 3
    assert bounded(np.arange(59.0))[3] == 58  # the largest of 59 (Wilks)
    assert bounded(np.arange(93.0))[3] == 91  # the second largest of 93
    rng, place = np.random.default_rng(0), SHARES.index(0.95)
    held = [
        (rng.random(1000) <= bounded(rng.random(100))[place]).mean() >= 0.945 for _ in range(200)
    ]
    assert np.mean(held) > 0.9


def test_a_null_of_an_earlier_release_names_no_change(tiny_bundle, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(tiny_bundle, folder)
    path = folder / "configs/metadata.json"
    metadata = json.loads(path.read_text())
    row = {label: [0.1, 0.2] for label in LABELS}
    metadata["hilum"]["null"] = {"shares": [0.5, 0.95], "differences": row, "exposures": 1}
    path.write_text(json.dumps(metadata))
    assert load_bundle(folder).metadata.hilum.null is None


def test_without_a_film_to_expose_again_there_is_no_null(tiny_bundle, records):
    with (
        Engine(load_bundle(tiny_bundle), device="cpu") as engine,
        pytest.raises(BadFilmList, match="no film of split 'val'"),
    ):
        read_unchanged(engine, [one for one in records if one.split == "test"], [])


def test_the_null_goes_into_a_bundle_whose_identity_becomes_another(
    measured, tiny_bundle, tmp_path
):
    before = load_bundle(tiny_bundle)
    made = with_part(before, NULL, measured, tmp_path / "bundle", "0.0.2")
    assert before.metadata.hilum.null is None
    assert made.metadata.hilum.null is not None
    assert made.identity.version == "0.0.2"
    assert made.identity.sha256 != before.identity.sha256
    log = json.loads((made.folder / "configs/metadata.json").read_text())["changelog"]
    assert log["0.0.2"] == "0.0.1 && hilum measure-null"
    with pytest.raises(BundleExists):
        with_part(before, NULL, measured, made.folder)
    with pytest.raises(NoPart, match="measure-null"):
        with_part(before, NULL, tmp_path, tmp_path / "other")


def pairs_of(records, *views):
    one = records[0]
    return [
        FilmPair(replace(one, patient=str(k), view=before), replace(one, patient=str(k), view=now))
        for k, (before, now) in enumerate(views)
    ]


def test_films_without_change_change_nothing(records):
    one = prediction(np.linspace(0.1, 0.9, 14))
    (row,) = false_changes(
        "x", invented_null(1.0), pairs_of(records, *[("PA", "PA")] * 3), [(one, one)] * 3
    )
    assert (row.what, row.pairs, row.patients, row.named, row.reason) == ("PA: x", 3, 3, 0, "")
    assert row.upper == pytest.approx(1 - 0.05 ** (1 / 3))  # 0 of 3 says little


def test_a_pair_with_one_false_change_is_a_false_change(records):
    low, high = prediction(np.full(14, 0.05)), prediction([0.9] + [0.05] * 13)
    listed = pairs_of(records, ("PA", "PA"), ("PA", "PA"), ("AP", "AP"), ("PA", "AP"))
    said = [(low, high), (low, low), (low, low), (low, high)]
    rows = {
        row.what[:5].strip(": x"): row
        for row in false_changes("x", invented_null(1.0), listed, said)
    }
    assert {what: (row.named, row.pairs) for what, row in rows.items()} == {
        "PA": (1, 2),
        "AP": (0, 1),
        "PA/AP": (0, 1),
    }
    assert "59 are needed" in rows["PA/AP"].reason


def test_changes_that_the_network_follows_are_told(records):
    mass = LABELS.index("Mass")
    first = replace(records[0], labels=(0,) * 14)
    with_mass = replace(first, labels=tuple(int(k == mass) for k in range(14)))
    films, said = [], []
    for k in range(24):
        appears = k % 2 == 1
        patient = str(k)
        films.append(
            FilmPair(
                replace(first, patient=patient),
                replace(with_mass if appears else first, patient=patient),
            )
        )
        now = np.full(14, 0.2)
        now[mass] = 0.7 if appears else 0.22
        said.append((prediction(np.full(14, 0.2)), prediction(now)))
    rows = {row.what: row for row in change_discrimination(films, said, invented_null(1.0))}
    assert set(rows) == {"any label changed", "Mass appeared"}
    assert rows["Mass appeared"].changed == 12
    for row in rows.values():
        assert (row.ours.value, row.plain.value) == (1.0, 1.0)


def test_what_is_measured_is_shown_for_all_pairs_and_for_those_held_out(
    tiny_bundle, pairs, records, measured
):
    written = ChangeNullDistribution.model_validate_json((measured / NULL.spec).read_bytes())
    with Engine(load_bundle(tiny_bundle), device="cpu") as engine:
        listed = read_pairs([pairs], records)
        found = measure_change(engine, written, records, listed)
        alone = measure_change(engine, written, records, listed, exposures=0)
    said = [one.what for one in found.false_changes if "exposed again" not in one.what]
    assert [one.what for one in alone.false_changes] == said
    assert list(found.discrimination) == ["all pairs", "pairs of test patients"]
    assert [table.row_count for table in tables(found)] == [len(found.false_changes), 1, 1]


def test_the_commands_say_what_is_missing(films, pairs, tiny_bundle, tmp_path):
    options = ["--films", str(films), "--pairs", str(pairs), "--bundle", str(tiny_bundle)]
    done = CliRunner().invoke(app, ["measure-change", *options])
    assert done.exit_code == 1
    assert "has no null; put one in with `hilum add-null`" in done.output
    gone = ["--films", str(films), "--pairs", str(tmp_path / "none.csv"), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["measure-null", *gone])
    assert done.exit_code == 1
    assert "none.csv" in done.output


def test_log_odds_have_an_end():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    assert log_odds(np.array([0.5]))[0] == 0
