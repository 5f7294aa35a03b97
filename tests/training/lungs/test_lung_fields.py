"""Lung fields: found behind disease, learnt from films with masks, carried in a bundle."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from films import chest
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.ndimage import label
from typer.testing import CliRunner

from inference.model.bundle import OtherWeights, load_bundle
from inference.model.lung_fields import LungFields, lung_network, two_parts
from inference.model.metadata import (
    CARD,
    LUNGS,
    METADATA,
    BundleIncomplete,
    BundleMalformed,
    LungSpec,
)
from training.bundle.export import export_run
from training.bundle.parts import (
    LUNG_FIELDS,
    LUNG_SPEC,
    LUNG_WEIGHTS,
    BundleExists,
    NoPart,
    with_part,
)
from training.cli import app
from training.data.opacities import DARK, OPACITIES, painted
from training.loop import CHECKPOINT, OtherRun
from training.lungs.evaluate import CHANGES, boundary_distance, dark_parts, mean_mask
from training.lungs.examples import SHARES, Masked, example
from training.lungs.masks import BadMasks, masked_files, read_masked, small_films
from training.lungs.train import Examples, dice_of, lungs_of, train_lungs
from training.settings import LungSettings

pytestmark = pytest.mark.xdist_group("lung_fields")  # its fixtures are made once

SETTINGS = LungSettings(
    epochs=12, batch_size=4, size_px=64, learning_rate=5e-3, warmup_epochs=1, average_decay=0.9
)
SHORT = SETTINGS.model_copy(update={"epochs": 2})


def ellipses(rows: int = 72, columns: int = 64) -> np.ndarray:
    """Where `films.chest` has its lungs."""
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    down = ((y / rows - 0.44) / 0.27) ** 2
    return np.minimum(*(((x / columns - cx) / 0.15) ** 2 for cx in (0.28, 0.72))) + down < 1


def write_masked(folder: Path, films: int = 40) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for k in range(films):
        grey = (chest(72, 64, seed=k) * 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / "images" / f"{k:02}.jpg")
        Image.fromarray(ellipses()).save(folder / "masks" / f"{k:02}.png")
    return folder


def dice(found, true):
    return float(dice_of(torch.from_numpy(found)[None], torch.from_numpy(true)[None]))


def untrained(seed: int = 0) -> LungFields:
    torch.manual_seed(seed)
    spec = LungSpec(size_px=64, threshold=0.5, sha256="0" * 64)
    return LungFields(lung_network().eval(), spec)


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return write_masked(tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="module")
def run(masks, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "lungs"
    train_lungs(masks, out, SETTINGS)
    return out


@pytest.fixture
def bundle(tiny_bundle, run, tmp_path):
    return with_part(load_bundle(tiny_bundle), LUNG_FIELDS, run, tmp_path / "bundle")


def test_a_part_of_another_bundle_is_put_in_as_it_is_there(bundle, tiny_bundle, tmp_path):
    made = with_part(load_bundle(tiny_bundle), LUNG_FIELDS, bundle.folder, tmp_path / "other")
    assert made.metadata.hilum.lung_fields == bundle.metadata.hilum.lung_fields
    assert (made.folder / LUNGS).read_bytes() == (bundle.folder / LUNGS).read_bytes()


def test_a_bundle_without_the_part_is_no_origin_of_it(tiny_bundle, tmp_path):
    with pytest.raises(NoPart, match="has no lung fields"):
        with_part(load_bundle(tiny_bundle), LUNG_FIELDS, tiny_bundle, tmp_path / "other")


# finding


def test_lungs_are_found_on_a_film_that_never_taught_also_behind_an_opacity(run):
    find = lungs_of(run).find
    for rows, columns in ((72, 64), (256, 224)):
        true = ellipses(rows, columns)
        healthy = Masked(chest(rows, columns, seed=99), true)
        ill = painted(healthy.greys, healthy.lungs, np.random.default_rng(1), "white lung")
        assert dice(find(healthy.greys), true) > 0.85
        assert dice(find(ill), true) > 0.7
        assert (
            dice(find(healthy.greys), np.flipud(true).copy()) < 0.8
        )  # it is no blur over the whole film


@pytest.mark.parametrize("shape", [(512, 410), (410, 512), (1, 1), (3, 700), (97, 5), (64, 64)])
def test_the_answer_lies_on_the_grid_of_the_film(run, shape):
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    before = pixels.copy()
    found = lungs_of(run).find(pixels)
    assert (found.shape, found.dtype) == (shape, np.bool_)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0, np.nan])
def test_a_film_of_one_grey_has_no_lungs(run, grey):
    assert not lungs_of(run).find(np.full((90, 70), grey, np.float32)).any()


def test_a_network_that_leads_to_no_number_finds_no_lungs():
    fields = untrained()
    with torch.no_grad():
        for weights in fields._network.parameters():
            weights.fill_(torch.nan)
    assert not fields.find(chest(72, 64)).any()


def test_a_view_of_a_larger_array_is_read_like_a_copy(run):
    find, film = lungs_of(run).find, chest(128, 128)
    assert np.array_equal(find(film[::2, ::-2]), find(film[::2, ::-2].copy()))


def test_at_most_two_parts_come_back_whatever_the_network_says():
    for seed in range(4):
        pixels = np.random.default_rng(seed).random((256, 200), dtype=np.float32)
        assert label(untrained(seed).find(pixels))[1] <= 2


def test_many_threads_find_what_one_finds(run):
    find = lungs_of(run).find
    films = [chest(200, 180, seed=k) for k in range(6)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(find, films))
    for film, found in zip(films, together, strict=True):
        assert np.array_equal(found, find(film))


def test_islands_go_small_holes_are_filled_and_the_mediastinum_is_not():
    cells = np.zeros((100, 100), bool)
    cells[20:80, 10:40] = cells[20:80, 60:90] = True
    lungs = cells.copy()
    cells[30:40, 20:30] = False  # a mass
    cells[2:5, 2:5] = cells[90:99, 45:50] = True  # islands
    assert np.array_equal(two_parts(cells), lungs)
    lungs[20:22, 40:60] = lungs[78:80, 40:60] = True  # joined above and below
    assert np.array_equal(two_parts(lungs), lungs)
    assert not two_parts(np.zeros((64, 64), bool)).any()
    assert two_parts(np.ones((64, 64), bool)).all()


# learning


def test_parts_follow_from_the_sorted_names_and_measured_films_never_teach(masks):
    files = masked_files(masks)
    assert [one.film.stem for one in files] == [f"{k:02}" for k in range(40)]
    assert [k for k, one in enumerate(files) if one.split == "test"] == [*range(4, 40, 5)]
    assert [k for k, one in enumerate(files) if one.split == "val"] == [*range(0, 40, 10)]
    assert len(small_films(files, "train", 64)) == 28


def test_an_example_repeats_with_its_seed_and_stays_in_range(masks):
    films = small_films(masked_files(masks), "train", 80)
    examples = Examples(films, SETTINGS)
    for epoch in range(20):
        greys, mask = examples[epoch, epoch % len(films)]
        again = Examples(films, SETTINGS)[epoch, epoch % len(films)]
        assert torch.equal(greys, again[0])
        assert torch.equal(mask, again[1])
        assert greys.shape == mask.shape == (1, 64, 64)
        assert greys.dtype == mask.dtype == torch.float32
        for one in (greys, mask):
            assert 0 <= float(one.min()) <= float(one.max()) <= 1
    assert not torch.equal(examples[0, 0][0], examples[1, 0][0])


def test_a_mask_moves_with_its_film():
    true = ellipses(80, 80)
    film = Masked(np.where(true, 0.1, 0.9).astype(np.float32), true)
    agreed = []
    for seed in range(30):
        greys, (mask, _) = example(film, np.random.default_rng(seed), 64)
        inside, outside = greys[mask > 0.9], greys[mask < 0.1]
        agreed.append(inside.size and outside.size and np.median(inside) < np.median(outside))
    assert np.mean(agreed) > 0.6  # an opacity, a black border or an inversion hides the rest


@pytest.mark.parametrize("kind", OPACITIES)
def test_an_opacity_lies_on_one_lung_and_spares_what_is_far(kind):
    film = Masked(chest(128, 112), ellipses(128, 112))
    assert set(SHARES) == set(OPACITIES)
    changed = 0.0
    for seed in range(8):
        ill = painted(film.greys, film.lungs, np.random.default_rng(seed), kind)
        assert (ill.shape, ill.dtype) == (film.greys.shape, np.float32)
        assert 0 <= ill.min() <= ill.max() <= 1
        more = ill - film.greys
        assert np.abs(more[:8]).max() < 0.02
        assert min(np.abs(more[lung]).mean() for lung in film.lungs) < 0.02
        changed += more[film.mask].mean()
    assert changed < 0 if kind in DARK else changed > 0


def test_training_that_was_stopped_ends_in_the_same_weights(masks, tmp_path):
    train_lungs(masks, tmp_path / "whole", SHORT)
    train_lungs(masks, tmp_path / "half", SHORT.model_copy(update={"epochs": 1}))
    state = torch.load(tmp_path / "half" / CHECKPOINT, weights_only=True)
    assert state["epoch"] == 1
    train_lungs(masks, tmp_path / "again", SHORT)
    whole, again = ((tmp_path / name / LUNG_SPEC).read_text() for name in ("whole", "again"))
    assert whole == again
    train_lungs(masks, tmp_path / "half", SHORT)
    state = torch.load(tmp_path / "half" / CHECKPOINT, weights_only=True)
    assert state["epoch"] == 2
    with pytest.raises(OtherRun):
        train_lungs(masks, tmp_path / "half", SHORT.model_copy(update={"seed": 1}))


def test_weights_are_small_and_stored_in_half_precision(run):
    weights = load_file(run / LUNG_WEIGHTS)
    assert {value.dtype for value in weights.values()} == {torch.float16, torch.int64}
    assert (run / LUNG_WEIGHTS).stat().st_size < 2e6


def remove(path):
    path.unlink()


def repaint(path, size=(64, 72), grey=0):
    Image.new("L", size, grey).save(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda at: remove(at / "masks" / "03.png"), "03 has no mask"),
        (lambda at: remove(at / "images" / "03.jpg"), "03 has no film"),
        (lambda at: shutil.rmtree(at / "masks"), "masks is not there"),
        (lambda at: [remove(one) for one in at.glob("*/*")], "holds 0 films"),
        (lambda at: repaint(at / "masks" / "03.png", size=(30, 40)), r"03.png is \(40, 30\)"),
        (lambda at: repaint(at / "masks" / "03.png"), "03.png tells no lung"),
        (lambda at: repaint(at / "masks" / "03.png", grey=255), "03.png tells no lung"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_with_the_file(masks, tmp_path, spoil, reason):
    folder = Path(shutil.copytree(masks, tmp_path / "spoilt"))
    spoil(folder)
    with pytest.raises(BadMasks, match=reason):
        train_lungs(folder, tmp_path / "run", SHORT)


# measuring


def test_outlines_are_as_far_apart_as_they_were_moved():
    true = np.zeros((100, 50), bool)
    true[20:60, 10:40] = True
    assert boundary_distance(true, true) == 0
    assert boundary_distance(np.roll(true, 4, 0), true) == pytest.approx(0.025, abs=0.01)
    assert boundary_distance(np.zeros_like(true), true) == 1


def test_ways_without_a_network_find_lungs_on_healthy_films(masks):
    files = masked_files(masks)
    teachers = small_films(files, "train", 128)
    film = read_masked(files[4])
    for find in (mean_mask(teachers), dark_parts(teachers)):
        assert dice(find(film.greys), film.mask) > 0.7
        assert find(np.zeros((40, 30), np.float32)).shape == (40, 30)


def test_a_film_is_turned_together_with_its_mask():
    true = ellipses(90, 90)
    film = Masked(np.where(true, 0.1, 0.9).astype(np.float32), true)
    turned = CHANGES["turned 8 degrees left"](film, np.random.default_rng(0))
    assert 0.7 < dice(turned.mask, true) < 0.99
    assert turned.greys[turned.mask].max() < 0.6


# in a bundle


def test_a_bundle_without_lung_fields_is_whole(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    assert bundle.lung_fields() is None
    assert "**Lung fields** none" in (tiny_bundle / CARD).read_text()


def test_lung_fields_in_a_bundle_find_what_their_run_finds(tiny_bundle, run, bundle):
    film = chest(128, 112)
    assert np.array_equal(bundle.lung_fields().find(film), lungs_of(run).find(film))
    before = load_bundle(tiny_bundle).identity
    assert bundle.identity.sha256 != before.sha256
    assert load_bundle(bundle.folder).identity == bundle.identity


def test_other_lung_fields_than_the_metadata_was_written_for_are_refused(bundle):
    weights = load_file(bundle.folder / LUNGS)
    save_file({name: value * 2 for name, value in weights.items()}, bundle.folder / LUNGS)
    with pytest.raises(OtherWeights, match=str(LUNGS)):
        load_bundle(bundle.folder)
    (bundle.folder / LUNGS).unlink()
    with pytest.raises(BundleIncomplete, match=str(LUNGS)):
        load_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"threshold": 1.0}, r"lung_fields\.threshold"),
        ({"size_px": 100}, r"lung_fields\.size_px"),
        ({"colour": "red"}, r"lung_fields\.colour"),
    ],
)
def test_lung_fields_that_do_not_fit_are_refused_with_the_place(bundle, change, place):
    edit(bundle.folder, change)
    with pytest.raises(BundleMalformed, match=place):
        load_bundle(bundle.folder)


def test_weights_of_another_network_are_refused(bundle):
    save_file({"one": torch.zeros(1)}, bundle.folder / LUNGS)
    from inference.model.bundle import file_sha256

    edit(bundle.folder, {"sha256": file_sha256(bundle.folder / LUNGS)})
    with pytest.raises(BundleMalformed, match=f"{LUNGS} does not fit"):
        load_bundle(bundle.folder).lung_fields()


def edit(folder, change):
    metadata = json.loads((folder / METADATA).read_text())
    metadata["hilum"]["lung_fields"] |= change
    (folder / METADATA).write_text(json.dumps(metadata))


def test_lung_fields_go_only_into_a_new_folder_and_only_when_finished(
    tiny_bundle, run, bundle, tmp_path
):
    with pytest.raises(BundleExists):
        with_part(load_bundle(tiny_bundle), LUNG_FIELDS, run, bundle.folder)
    half = Path(shutil.copytree(run, tmp_path / "half"))
    (half / LUNG_SPEC).write_text("{}")
    with pytest.raises(NoPart, match=LUNG_SPEC):
        with_part(load_bundle(tiny_bundle), LUNG_FIELDS, half, tmp_path / "other")
    (half / LUNG_WEIGHTS).unlink()
    with pytest.raises(NoPart, match=LUNG_WEIGHTS):
        with_part(load_bundle(tiny_bundle), LUNG_FIELDS, half, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_exported_bundle_may_have_lung_fields(finished_run, run, tmp_path):
    bundle = export_run(finished_run, tmp_path / "bundle", device="cpu", lungs=run)
    assert bundle.lung_fields() is not None
    assert "**Lung fields** a small network" in (bundle.folder / CARD).read_text()


# the command line


def test_the_commands_train_put_in_and_measure(masks, tiny_bundle, tmp_path):
    out, made = tmp_path / "run", tmp_path / "bundle"
    words = ["train-lungs", "--masks", str(masks), "--out", str(out), "--device", "cpu"]
    changes = ["--set", "epochs=1", "--set", "size_px=64", "--set", "batch_size=4"]
    assert CliRunner().invoke(app, [*words, *changes]).exit_code == 0
    words = ["add-lungs", str(tiny_bundle), "--lungs", str(out), "--out", str(made)]
    printed = CliRunner().invoke(app, words).stdout
    assert load_bundle(made).identity.sha256 in printed
    words = ["measure-lungs", "--masks", str(masks)]
    said = json.loads(CliRunner().invoke(app, [*words, "--bundle", str(made), "--json"]).stdout)
    assert {one["kind"] for one in said} == set(CHANGES)
    assert {one["method"] for one in said} == {"network", "mean mask", "Otsu"}
    assert all(one["films"] == 8 and 0 <= one["worst"] <= one["dice"] <= 1 for one in said)
    printed = CliRunner().invoke(app, [*words, "--lungs", str(out)]).stdout
    assert "white lung" in printed
    assert "ms a film" in printed
    refused = CliRunner().invoke(app, [*words, "--bundle", str(tiny_bundle)])
    assert refused.exit_code == 1
    assert "has no lung fields" in refused.stderr
