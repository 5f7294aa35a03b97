"""The heart's segmenter: learnt beside films of lungs alone, measured, carried in a bundle."""

import json
import shutil

import numpy as np
import pytest
import torch
from films import chest
from hearts import lungs_and_heart, write_hearts
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from inference.model.bundle import load_bundle
from inference.model.heart import heart_network
from inference.model.lung_fields import lung_network
from inference.model.metadata import CARD, METADATA, BundleMalformed, HeartSpec, RatioError
from training.bundle.model_card import Description, write_card
from training.bundle.parts import HEART_SPEC, HEART_WEIGHTS, HEARTS, LUNG_WEIGHTS, with_part
from training.bundle.rounding import store
from training.cli import app
from training.heart.evaluate import ratio_error
from training.heart.examples import heart_files, read_heart
from training.heart.train import heart_of, train_heart
from training.loop import CHECKPOINT
from training.lungs.evaluate import CHANGES
from training.lungs.examples import UNKNOWN, Masked, example
from training.lungs.masks import BadMasks
from training.lungs.train import Examples, task
from training.settings import HeartSettings

pytestmark = pytest.mark.xdist_group("heart")  # its fixtures are made once

SETTINGS = HeartSettings(
    epochs=14, batch_size=4, size_px=64, learning_rate=5e-3, warmup_epochs=1, average_decay=0.9
)
SHORT = SETTINGS.model_copy(update={"epochs": 2})


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    return write_hearts(tmp_path_factory.mktemp("hearts") / "drawn")


@pytest.fixture(scope="module")
def lungs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lungs")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for k in range(20):
        grey = (chest(96, 80, seed=100 + k) * 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / "images" / f"{k:02}.png")
        Image.fromarray(lungs_and_heart()[0]).save(folder / "masks" / f"{k:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(hearts, lungs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "heart"
    train_heart(hearts, lungs, out, SETTINGS)
    return out


def test_neighbours_by_name_go_into_one_part_and_measured_films_never_teach(tmp_path):
    files = heart_files(write_hearts(tmp_path / "many", films=100, rows=8, columns=8))
    parts = [{one.split for one in files[k : k + 10]} for k in range(0, 100, 10)]
    assert [k for k, part in enumerate(parts) if part == {"test"}] == [4, 9]
    assert [k for k, part in enumerate(parts) if part == {"val"}] == [0]
    assert [k for k, part in enumerate(parts) if part == {"train"}] == [1, 2, 3, 5, 6, 7, 8]


def test_a_heart_that_nobody_drew_is_marked_unknown_and_teaches_nothing(hearts):
    lungs, heart = lungs_and_heart()
    film = chest(96, 80, seed=3)
    _, masks = example(Masked(film, lungs), np.random.default_rng(0), 64)
    assert masks.shape == (2, 64, 64)
    assert (masks[1] == UNKNOWN).all()
    assert 0 <= masks[0].min() < masks[0].max() <= 1
    alone = task(heart_network(), [Masked(film, lungs)], [Masked(film, lungs, heart)], SHORT, 2)
    network = heart_network()
    greys, masks = Examples([Masked(film, lungs)], SHORT, 2)[0, 0]
    alone.loss(network, (greys[None], masks[None])).backward()
    last = [p for p in network.parameters() if p.ndim == 4][-1]  # (organs, organs, 3, 3)
    assert last.grad[0].any()
    assert not last.grad[1].any()  # what makes the heart's logits


def test_lungs_and_heart_are_found_on_a_film_that_never_taught(run):
    for rows, columns in ((96, 80), (300, 250)):
        lungs, heart = lungs_and_heart(rows, columns)
        found = heart_of(run).find(chest(rows, columns, seed=99))
        assert found.lungs.shape == found.heart.shape == (rows, columns)
        for one, true in ((found.lungs, lungs), (found.heart, heart)):
            assert 2 * (one & true).sum() / (one.sum() + true.sum()) > 0.8


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0, np.nan])
def test_a_film_of_one_grey_has_neither_lungs_nor_heart(run, grey):
    found = heart_of(run).find(np.full((90, 70), grey, np.float32))
    assert not found.lungs.any()
    assert not found.heart.any()


def test_a_run_states_the_error_on_the_films_that_neither_taught_nor_chose(run, hearts):
    spec = HeartSpec.model_validate_json((run / HEART_SPEC).read_text())
    tested = [one for one in heart_files(hearts) if one.split == "test"]
    assert spec.error.films + spec.error.withheld == len(tested)
    assert spec.error.limits[0] <= spec.error.bias <= spec.error.limits[1]


@pytest.mark.parametrize(("off", "stated"), [(0.019, True), (0.02, True), (0.021, False)])
def test_a_ratio_is_stated_only_up_to_a_mean_error_of_two_hundredths(off, stated):
    error = RatioError(films=50, withheld=0, mean_absolute=off, bias=0, limits=(-0.1, 0.1))
    spec = HeartSpec(size_px=64, threshold=0.5, error=error, sha256="0" * 64)
    assert spec.states_ratio is stated
    assert not spec.model_copy(update={"error": None}).states_ratio


def test_errors_are_those_of_films_on_which_a_ratio_is_stated():
    ratios = np.array([(0.50, 0.48), (0.60, 0.61), (np.nan, 0.9)])
    error = ratio_error(ratios)
    assert (error.films, error.withheld) == (2, 1)
    assert error.mean_absolute == pytest.approx(0.015)
    assert error.bias == pytest.approx(0.005)
    assert error.limits == pytest.approx((0.005 - 1.96 * 0.0212132, 0.005 + 1.96 * 0.0212132))
    assert ratio_error(np.array([(np.nan, 0.5)])) is None


def test_training_that_was_stopped_ends_in_the_same_weights(hearts, lungs, tmp_path):
    train_heart(hearts, lungs, tmp_path / "whole", SHORT)
    train_heart(hearts, lungs, tmp_path / "half", SHORT.model_copy(update={"epochs": 1}))
    assert torch.load(tmp_path / "half" / CHECKPOINT, weights_only=True)["epoch"] == 1
    train_heart(hearts, lungs, tmp_path / "half", SHORT)
    assert torch.load(tmp_path / "half" / CHECKPOINT, weights_only=True)["epoch"] == 2


def test_training_may_begin_with_the_weights_of_a_lung_segmenter(hearts, tmp_path):
    torch.manual_seed(7)
    lungs = lung_network()
    store(lungs, tmp_path / LUNG_WEIGHTS)
    begun = SHORT.model_copy(
        update={"epochs": 1, "learning_rate": 0.0, "initial": str(tmp_path / LUNG_WEIGHTS)}
    )
    train_heart(hearts, None, tmp_path / "run", begun)
    weights, first = load_file(tmp_path / "run" / HEART_WEIGHTS), "model.0.conv.unit0.conv.weight"
    assert torch.equal(weights[first].half(), lungs.state_dict()[first].half())
    with pytest.raises(BadMasks, match="initial weights"):
        train_heart(hearts, None, tmp_path / "no", begun.model_copy(update={"initial": "gone"}))


def remove(path):
    path.unlink()


def repaint(path, size=(80, 96), grey=0):
    Image.new("L", size, grey).save(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda at: remove(at / "films.csv"), "lists no films"),
        (lambda at: (at / "films.csv").write_text("file\none.png\n"), "lists no films"),
        (lambda at: (at / "films.csv").write_text("file,mask\na,b\n"), "holds 1 films"),
        (lambda at: remove(at / "masks" / "03.png"), "03.png is no picture"),
        (lambda at: repaint(at / "masks" / "03.png", size=(30, 40)), r"03.png is \(40, 30\)"),
        (lambda at: repaint(at / "masks" / "03.png"), "03.png marks no lung"),
        (lambda at: repaint(at / "masks" / "03.png", grey=3), "03.png marks no lung, or no heart"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_with_the_file(hearts, tmp_path, spoil, reason):
    folder = shutil.copytree(hearts, tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(BadMasks, match=reason):
        [read_heart(one) for one in heart_files(folder)]


# in a bundle


def test_a_heart_in_a_bundle_finds_what_its_run_finds(tiny_bundle, run, tmp_path):
    assert load_bundle(tiny_bundle).heart_finder() is None
    assert "**Heart** none" in (tiny_bundle / CARD).read_text()
    bundle = with_part(load_bundle(tiny_bundle), HEARTS, run, tmp_path / "bundle")
    film = chest(128, 112)
    ours, theirs = bundle.heart_finder().find(film), heart_of(run).find(film)
    assert np.array_equal(ours.heart, theirs.heart)
    assert np.array_equal(ours.lungs, theirs.lungs)
    assert bundle.identity.sha256 != load_bundle(tiny_bundle).identity.sha256
    metadata = json.loads((bundle.folder / METADATA).read_text())
    metadata["hilum"]["heart"]["threshold"] = 2
    (bundle.folder / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(BundleMalformed, match=r"heart\.threshold"):
        load_bundle(bundle.folder)


@pytest.mark.parametrize(("off", "words"), [(0.0123, "error is 0.012"), (0.03, "not exactly")])
def test_the_card_states_the_error_or_that_no_ratio_is_stated(tiny_bundle, tmp_path, off, words):
    error = RatioError(films=50, withheld=1, mean_absolute=off, bias=0, limits=(-0.1, 0.1))
    spec = HeartSpec(size_px=64, threshold=0.5, error=error, sha256="0" * 64)
    hilum = load_bundle(tiny_bundle).metadata.hilum.model_copy(update={"heart": spec})
    (tmp_path / CARD).parent.mkdir()
    write_card(tmp_path, Description("n", "1", "resnet18", "", ""), hilum, ())
    assert words in (tmp_path / CARD).read_text()


# the command line


def test_the_commands_train_put_in_and_measure(hearts, lungs, tiny_bundle, tmp_path):
    out, made = tmp_path / "run", tmp_path / "bundle"
    words = ["train-heart", "--hearts", str(hearts), "--masks", str(lungs), "--out", str(out)]
    changes = ["--set", "epochs=1", "--set", "size_px=64", "--set", "batch_size=4"]
    assert CliRunner().invoke(app, [*words, "--device", "cpu", *changes]).exit_code == 0
    words = ["add-heart", str(tiny_bundle), "--heart", str(out), "--out", str(made)]
    printed = CliRunner().invoke(app, words).stdout
    assert load_bundle(made).identity.sha256 in printed
    words = ["measure-heart", "--hearts", str(hearts)]
    said = json.loads(CliRunner().invoke(app, [*words, "--bundle", str(made), "--json"]).stdout)
    assert {one["kind"] for one in said} == set(CHANGES)
    ways = {one["method"] for one in said}
    assert {"network", "mean masks", "Otsu, mean heart"} < ways
    assert any(way.startswith("always 0.") for way in ways)
    mean = next(one for one in said if one["method"] == "mean masks")
    assert mean["heart"] > 0.95  # all drawn hearts are alike
    assert mean["error"]["mean_absolute"] < 0.01
    assert "limits of agreement" in CliRunner().invoke(app, [*words, "--heart", str(out)]).stdout
    refused = CliRunner().invoke(app, [*words, "--bundle", str(tiny_bundle)])
    assert refused.exit_code == 1
    assert "finds no heart" in refused.stderr
