from dataclasses import replace

import numpy as np
import pytest
import torch
from films import chest, make_film_ds
from labelled import rows_of, write_list
from PIL import Image
from pydicom import dcmread

from inference.findings import LABELS
from inference.image.film import film_from_pixels, read_film
from inference.model.preprocessing import Preprocessing
from training.classifier.examples import VariedFilms
from training.data.augmentation import Augmentation, RandFrame
from training.data.boxes import Box, box_masks
from training.data.film_list import BadFilmList, Source, read_film_list
from training.data.film_set import MARGIN, film_set, load_films, read_picture
from training.data.record import Record
from training.settings import TrainSettings

PREPROCESSING = Preprocessing(48)
STEP = 0.51 / 255  # half a grey: films are kept in 8 bits


def record(path):
    return Record(path, patient="1", split="train", labels=(0,) * 14)


def in_service(film):
    """The film as the service's network sees it, but for the last two steps."""
    return PREPROCESSING.resize(film)


def in_training(path):
    return film_set([record(path)], PREPROCESSING).pixels[0].float() / 255


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "PNG"])
def test_a_picture_is_the_same_to_training_and_to_the_service(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    Image.fromarray((255 * chest(90, 80)).astype(np.uint8)).save(path)
    with Image.open(path) as picture:
        film = film_from_pixels(np.asarray(picture))
    assert np.array_equal(film.pixels, read_picture(path).pixels)
    assert (in_service(film) - in_training(path)).abs().max() < STEP


def test_a_film_of_a_modality_is_the_same_to_training_and_to_the_service(philips_film, tmp_path):
    made = tmp_path / "made.dcm"
    make_film_ds(photometric="MONOCHROME1").save_as(made, enforce_file_format=True)
    for path in (philips_film, made):
        shown = in_service(read_film(dcmread(path)))
        kept = in_training(path)
        assert (shown - kept).abs().max() < STEP
        seen = PREPROCESSING(read_film(dcmread(path)))
        difference = (seen - PREPROCESSING.normalise(kept)).abs()
        assert difference.mean() < 0.02  # of greys whose deviation is 1


def test_a_16_bit_picture_keeps_its_greys(tmp_path):
    path = tmp_path / "film.png"
    pixels = (65535 * chest(90, 80)).astype(np.uint16)
    Image.fromarray(pixels).save(path)
    assert np.array_equal(read_picture(path).pixels, film_from_pixels(pixels).pixels)
    assert (in_service(film_from_pixels(pixels)) - in_training(path)).abs().max() < STEP


def test_a_colour_picture_of_a_grey_film_is_grey(tmp_path):
    grey = Image.fromarray((255 * chest(90, 80)).astype(np.uint8))
    grey.convert("RGBA").save(tmp_path / "film.png")
    read = read_picture(tmp_path / "film.png")
    assert np.array_equal(read.pixels, film_from_pixels(np.asarray(grey)).pixels)


def test_a_list_of_dicom_files_is_read(tmp_path):
    rows = [row | {"file": f"{row['patient_id']}.dcm"} for row in rows_of(2, 1)]
    for row in rows:
        ds = make_film_ds(seed=row["patient_id"])
        ds.save_as(tmp_path / row["file"], enforce_file_format=True)
    films = load_films(
        read_film_list(write_list(tmp_path / "films.csv", rows)), "train", PREPROCESSING
    )
    assert len(films) == 2
    assert films.pixels[0].shape == (1, 48, 48)
    assert films.labels.shape == (2, 14)


def half_of(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path):
    path.write_text("no film")


@pytest.mark.parametrize("name", ["film.png", "film.jpg", "film.dcm"])
@pytest.mark.parametrize("spoil", [half_of, text, lambda path: path.unlink()])
@pytest.mark.parametrize("cached", [0, 1])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, spoil, cached):
    path = tmp_path / name
    if name.endswith("dcm"):
        make_film_ds().save_as(path, enforce_file_format=True)
    else:
        Image.fromarray((255 * chest(90, 80)).astype(np.uint8)).save(path)
    spoil(path)
    with pytest.raises(BadFilmList, match=name):
        _ = film_set([record(path)], PREPROCESSING, cached).pixels[0]


def test_a_split_without_films_is_refused(labelled_films):
    records = [one for one in read_film_list(labelled_films) if one.split != "val"]
    with pytest.raises(BadFilmList, match="'val'"):
        load_films(records, "val", PREPROCESSING)


def test_batches_hold_all_films_in_order(labelled_films):
    films = load_films(read_film_list(labelled_films), "val", PREPROCESSING, cached=4)
    batches = list(films.batches(7))
    assert [len(batch) for batch in batches] == [7, 7, 2]
    assert torch.equal(torch.cat(batches)[11], films.pixels[11])


# augmentation


def test_augmentation_repeats_with_its_seed_and_varies_without():
    pixels = torch.randint(0, 255, (1, 40, 40), dtype=torch.uint8)
    first, again, other = (Augmentation(32)(pixels, seed) for seed in (1, 1, -2))
    assert first.shape == (1, 32, 32)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_does_not_remember_the_film_before():
    pixels = torch.randint(0, 255, (1, 40, 40), dtype=torch.uint8)
    augment = Augmentation(32)
    first = [augment(pixels, seed) for seed in range(20)]
    again = [augment(pixels, seed) for seed in reversed(range(20))]
    assert all(torch.equal(*pair) for pair in zip(first, reversed(again), strict=True))


def test_augmentation_never_swaps_left_and_right():
    pixels = torch.zeros((1, 40, 40), dtype=torch.uint8)
    pixels[..., 20:] = 255  # the heart's side
    augment = Augmentation(32)
    for seed in range(50):
        varied = augment(pixels, seed)
        assert varied[..., 20:].mean() > varied[..., :12].mean()


def test_a_mask_moves_as_the_film_does():
    pixels = torch.zeros((1, 40, 40), dtype=torch.uint8)
    pixels[..., 8:20, 22:34] = 255
    masks = pixels.float() / 255
    augment = Augmentation(32)
    for seed in range(20):
        film, (moved,) = augment.vary(pixels, masks, seed)
        assert moved.shape == (32, 32)
        assert film[0][moved > 0.9].mean() > film[0][moved < 0.1].mean() + 0.2
    assert torch.equal(augment.vary(pixels, masks, 3)[0], augment(pixels, 3))


def test_a_mask_is_1_in_its_box():
    box = Box("film", "Mass", x=0.25, y=0.5, w=0.5, h=0.25)
    (mask,) = box_masks([box], (8, 8))
    assert mask.sum() == 2 * 4
    assert mask[4:6, 2:6].all()


def test_a_film_carries_the_boxes_of_all_lists(labelled_films, tmp_path):
    for name, label in (("a", "Mass"), ("b", "Nodule")):
        (tmp_path / f"{name}.csv").write_text(
            f"image_index,finding,x,y,w,h\n0_0.png,{label},0,0,512,512\n"
        )
    lists = (tmp_path / "a.csv", tmp_path / "b.csv")
    first, second = Source(films=labelled_films, boxes=lists).records()[:2]
    assert [box.label for box in first.boxes] == ["Mass", "Nodule"]
    assert second.boxes == ()


def test_the_cells_of_a_box_are_told_with_the_film(labelled_films):
    records = [one for one in read_film_list(labelled_films) if one.split == "train"][:2]
    box = Box(records[0].name, "Mass", x=0.5, y=0.5, w=0.5, h=0.5)
    boxed = [replace(records[0], boxes=(box,)), records[1]]
    films = film_set(boxed, Preprocessing(round(64 * MARGIN)))
    varied = VariedFilms(films, TrainSettings(size_px=64, start_px=64))
    _, _, found = varied[0, 0]
    assert found.shape == (14, 4, 4)
    mass = found[LABELS.index("Mass")]
    assert mass[2:, 2:].mean() > 0.5 > mass[:2, :2].mean()
    assert found.sum() == mass.sum()
    assert not varied[0, 1][2].any()


def test_a_frame_covers_edges_in_one_grey_and_leaves_the_middle():
    film = torch.rand(1, 50, 40, generator=torch.Generator().manual_seed(0))
    frame = RandFrame(prob=1.0, share=0.1)
    frame.set_random_state(seed=5)
    framed = frame(film)
    inside = (..., slice(5, -5), slice(4, -4))
    assert torch.equal(framed[inside], film[inside])
    painted = framed[framed != film]
    assert len(painted) > 40
    assert (painted == painted[0]).all()
    untouched = RandFrame(prob=0.0, share=0.1)
    untouched.set_random_state(seed=5)
    assert untouched(film) is film
