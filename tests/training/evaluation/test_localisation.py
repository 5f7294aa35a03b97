import csv
import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from films import chest
from invented import comparison, drawn, prediction
from PIL import Image
from tiny import bright_patch_network
from told import answer, named, read_back, states
from typer.testing import CliRunner

from inference.drawing.summary import Caption, draw_comparison
from inference.findings import LABELS, WITHHELD
from inference.image.film import Film
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from inference.settings import DrawingSettings
from inference.statements import outcome, outcome_on_film
from training.cli import app
from training.data.boxes import BadBoxList, Box, read_boxes
from training.data.record import Record
from training.evaluation import maps
from training.evaluation.localisation import (
    detections,
    overall,
    overlaps,
    peak,
    score,
    summarise,
)

pytestmark = pytest.mark.xdist_group("localisation")  # its fixtures are made once

FIRST, SECOND = LABELS[:2]
OWN = "image_index,finding,x,y,w,h\n"
NIH = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def box(x=0.5, y=0.25, w=0.25, h=0.25, film="a", label=FIRST):
    return Box(film, label, x, y, w, h)


def spot(row, column, grid=8):
    """A map with one hot cell."""
    cells = np.zeros((grid, grid), np.float32)
    cells[row, column] = 1
    return cells


# the lists of boxes


def test_both_lists_of_boxes_say_the_same(tmp_path):
    own, nih = tmp_path / "boxes.csv", tmp_path / "BBox_List_2017.csv"
    own.write_text(OWN + "00000001_000.png,Infiltration,256,512,128,64\n")
    nih.write_text(NIH + "00000001_000.png,Infiltrate,256,512,128,64,,,\n")
    zipped = tmp_path / "BBox_List_2017.csv.gz"
    zipped.write_bytes(gzip.compress(nih.read_bytes()))
    expected = [Box("00000001_000", "Infiltration", 0.25, 0.5, 0.125, 0.0625)]
    assert read_boxes(own) == read_boxes(nih) == read_boxes(zipped) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\n", "the header is neither"),
        ("", "the header is neither"),
        (OWN, "lists no box"),
        (OWN + "a.png,Mass,1,2\n", "6 values"),
        (OWN + "a.png,Goitre,1,2,3,4\n", "'Goitre' is no finding"),
        (OWN + "a.png,Mass,1,2,wide,4\n", "wide"),
        (OWN + "a.png,Mass,1,2,nan,4\n", "this is no box"),
        (OWN + "a.png,Mass,1,2,0,4\n", "this is no box"),
        (OWN + "a.png,Mass,-1,2,3,4\n", "this is no box"),
        (OWN + "a.png,Mass,1000,2,30,4\n", "leaves the film"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(BadBoxList, match=said):
        read_boxes(path)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadBoxList, match=r"boxes\.csv: No such file"):
        read_boxes(tmp_path / "boxes.csv")


def test_the_real_boxes_lie_on_the_real_films(shared_data):
    boxes = read_boxes(shared_data / "boxes.csv")
    with (shared_data / "films.csv").open(newline="") as lines:
        films = {row["image_index"].removesuffix(".png") for row in csv.DictReader(lines)}
    assert len(boxes) == 65
    assert {b.film for b in boxes} <= films


# one map, one box


def test_a_map_points_at_the_middle_of_its_greatest_cell():
    assert peak(spot(2, 4)) == (4.5 / 8, 2.5 / 8)


def test_a_map_that_singles_nothing_out_points_nowhere_and_detects_nothing():
    for grid in (np.zeros((8, 8)), np.ones((8, 8)), np.full((8, 8), np.nan)):
        assert peak(grid) is None
        assert len(detections(grid)) == 0
        found = score(grid, box(), [box(), box(film="b")])
        assert (found.hit, found.iou, found.iobb) == (False, 0, 0)
        assert not found.chance_iou.any()


def test_what_stands_out_is_boxed_at_both_cuts():
    # bilinear: a cell of 1 among zeros falls to c at (1 - c) cells from its centre
    wide, narrow = detections(spot(2, 4))
    for found, cut in ((wide, 60 / 255), (narrow, 180 / 255)):
        reach = (1 - cut) / 8
        middle = np.array([4.5, 2.5]) / 8
        assert found == pytest.approx([*(middle - reach), *(middle + reach)], abs=1.5 / 256)


def test_two_spots_are_two_boxes():
    assert len(detections(spot(1, 1) + spot(6, 6))) == 4


def test_overlaps_are_shares_of_the_union_and_of_the_detected_box():
    found = np.array([[0.5, 0.25, 0.75, 0.5], [0.5, 0.25, 1.0, 0.75], [0.0, 0.0, 0.2, 0.2]])
    iou, iobb = overlaps(found, box())
    assert iou == pytest.approx([1, 0.25, 0])
    assert iobb == pytest.approx([1, 0.25, 0])
    small = np.array([[0.55, 0.3, 0.65, 0.4]])
    iou, iobb = overlaps(small, box())
    assert iobb == pytest.approx(1)
    assert iou == pytest.approx(0.01 / 0.0625)


def test_a_map_in_its_box_hits_and_one_elsewhere_misses():
    pool = [box(), box(film="b")]
    there, elsewhere = score(spot(2, 4), box(), pool), score(spot(7, 0), box(), pool)
    assert there.hit
    assert there.iobb > 0.9
    assert not elsewhere.hit
    assert elsewhere.iobb == elsewhere.iou == 0


# chance


def test_the_uniform_control_reaches_what_geometry_says():
    half = box(0, 0, 0.5, 1)  # a detected box lies more than half in it for half of its places
    pool = [half, box(0.9, 0.9, 0.1, 0.1, film="b")]  # the pooled control never points into it
    found = [score(spot(2, 4), half, pool, seed) for seed in range(32)]
    assert found[0].chance_hit == pytest.approx([0.5, 0])
    assert overall(found).pointing.control == pytest.approx(0.5)
    two_tries = 1 - 0.5**2  # one detected box for each cut
    assert np.mean([s.chance_iobb[0, 2] for s in found]) == pytest.approx(two_tries, abs=0.02)
    assert not np.any([s.chance_iobb[1] for s in found])


def test_a_map_that_knows_nothing_points_as_well_as_the_uniform_control():
    pool = [box(), box(0, 0, 0.1, 0.1, film="b")]
    total = overall([score(spot(k % 8, k // 8), box(), pool) for k in range(64)])
    assert total.pointing.value == total.pointing.control == pytest.approx(1 / 16)


def test_the_pooled_control_knows_where_radiologists_find_things_on_other_films():
    others = [box(film="b"), box(0, 0, 0.1, 0.1, film="c")]
    own = [box(film="a", label=SECOND)]  # on the film itself: it would tell
    found = score(spot(0, 0), box(), [*others, *own])
    assert found.chance_hit == pytest.approx([1 / 16, 1 / 2])
    assert overall([found]).pointing.control == pytest.approx(1 / 2)


def test_the_control_repeats_with_its_seed():
    pool = [box(), box(film="b"), box(0.1, 0.1, film="c")]
    one, same, other = (score(spot(2, 3), box(), pool, seed) for seed in (1, 1, 2))
    assert (one.chance_iou == same.chance_iou).all()
    assert (one.chance_iou != other.chance_iou).any()


# networks


def split_of(k):
    return "train" if k < 4 else "val" if k < 12 else "test"


PLACES = [(row, column) for row in range(4) for column in range(4)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Dark films with one bright square each, the list of them, and of their boxes."""
    folder = tmp_path_factory.mktemp("planted")
    generator = np.random.default_rng(0)
    rows, boxes = [], []
    for k, (row, column) in enumerate(PLACES):
        pixels = generator.integers(20, 60, (64, 64), dtype=np.uint8)
        pixels[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 230
        Image.fromarray(pixels).save(folder / f"{k}.png")
        labels = dict.fromkeys(LABELS, 0) | {FIRST: int(k != 5)}  # calibration needs both
        split = split_of(k)
        rows.append({"file": f"{k}.png", "patient_id": k, "split": split, **labels})
        boxes.append(f"{k}.png,{FIRST},{256 * column},{256 * row},256,256")
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "boxes.csv").write_text(OWN + "\n".join(boxes) + "\n")
    return folder


def records_of(folder):
    return [Record(folder / f"{k}.png", str(k), split_of(k), (0,) * 14) for k in range(len(PLACES))]


def test_a_network_that_sees_the_lesion_is_better_than_chance(planted):
    boxes = read_boxes(planted / "boxes.csv")
    scores = maps.score_boxes(bright_patch_network(), Preprocessing(64), records_of(planted), boxes)
    assert {group: len(some) for group, some in scores.items()} == {
        maps.HELD_OUT: 12,
        maps.SEEN: 4,
    }
    (found,) = summarise(scores[maps.HELD_OUT])
    assert found.pointing.value == 1
    assert found.iobb[0].value == 1


def test_shuffled_weights_lose_the_lesion(planted):
    network = bright_patch_network()
    boxes = read_boxes(planted / "boxes.csv")
    shuffled = maps.shuffled(network)
    scores = maps.score_boxes(shuffled, Preprocessing(64), records_of(planted), boxes)
    (found,) = summarise(scores[maps.HELD_OUT])
    assert found.pointing.value < 0.5
    before, after = network.state_dict(), shuffled.state_dict()
    for name, value in before.items():
        assert torch.equal(value.flatten().sort().values, after[name].flatten().sort().values)


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121"])
def test_every_kind_of_map_has_a_map_for_every_finding(architecture):
    torch.manual_seed(0)
    network = FindingNetwork(architecture).eval()
    with torch.no_grad():
        for variant in maps.VARIANTS.values():
            found = variant(network, torch.randn(2, 1, 64, 64))
            assert found.shape == (2, 14, 4, 4)
            assert torch.isfinite(found).all()


def test_layercam_of_the_last_stage_is_what_its_gradients_say():
    torch.manual_seed(0)
    network = FindingNetwork("resnet18").eval()
    films = torch.randn(1, 1, 64, 64)
    features = network.trunk(films).detach().requires_grad_()
    network.head(features).mean(dim=(2, 3))[0, 3].backward()
    theirs = (features.grad.clamp(min=0) * features).sum(dim=1)[0] * features[0, 0].numel()
    with torch.no_grad():
        ours = maps.layercam_last(network, films)[0, 3]
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_map_of_the_mirrored_film_is_mirrored_back():
    film = torch.full((1, 1, 64, 64), -1.0)
    film[..., 16:32, 48:64] = 3.0
    with torch.no_grad():
        found = maps.flipped(bright_patch_network(), film)[0, 0]
    assert peak(found.numpy()) == (3.5 / 4, 1.5 / 4)


def test_boxes_on_other_films_only_are_refused(planted):
    with pytest.raises(BadBoxList, match="no box is on a film"):
        maps.score_boxes(
            bright_patch_network(), Preprocessing(64), records_of(planted), [box(film="other")]
        )


def words(planted, bundle, *more):
    where = ["--films", str(planted / "films.csv"), "--boxes", str(planted / "boxes.csv")]
    return ["localise", *where, "--bundle", str(bundle), "--device", "cpu", *more]


def test_localise_prints_json_for_machines(planted, tiny_bundle):
    result = CliRunner().invoke(app, words(planted, tiny_bundle, "--json", "--randomised"))
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["bundle"] == "tiny"
    titles = [subset["title"] for subset in said["subsets"]]
    assert titles[:2] == [maps.HELD_OUT, maps.SEEN]
    assert titles[2:] == [f"weights shuffled, {title}" for title in titles[:2]]
    (first, total) = said["subsets"][0]["rows"]
    assert (first["label"], first["boxes"], first["wang_2017"]) == (FIRST, 12, 0.728)
    assert total["label"] == "all findings"


def test_localise_prints_tables_and_compares_kinds_of_maps(planted, tiny_bundle, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "0.728" in CliRunner().invoke(app, words(planted, tiny_bundle)).stdout
    result = CliRunner().invoke(app, words(planted, tiny_bundle, "--variants", "--size-px", "32"))
    assert "kinds of maps at 32 px" in result.stdout
    for name in maps.VARIANTS:
        assert name in result.stdout


def test_what_is_wrong_with_boxes_is_said_in_one_line(planted, tiny_bundle, tmp_path):
    (tmp_path / "boxes.csv").write_text("nothing\n")
    options = words(planted, tiny_bundle)
    options[options.index("--boxes") + 1] = str(tmp_path / "boxes.csv")
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


# a map that is not verified is not shown


BLOBS = {FIRST: (0.9, 0.7, 0.4, 0.08), SECOND: (0.8, 0.3, 0.6, 0.08)}


def without_map(label, found=None):
    """What an engine says of a film when this finding's maps are withheld."""
    said = prediction(BLOBS if found is None else found)
    drawn = np.array([one != label for one in LABELS])
    said.heatmaps[~drawn] = 0
    return replace(said, drawn=drawn)


def test_only_a_positive_finding_can_lack_a_map():
    assert without_map(FIRST).withheld.tolist() == [True] + [False] * 13
    assert not prediction({}).withheld.any()


SMALL = DrawingSettings(long_edge_px=900)
FILM = Film(chest(250, 200))


def painted(rgb):
    """Where the film is coloured."""
    film = rgb[33:, :564].astype(int)
    return np.ptp(film, axis=-1) > 6


def test_the_picture_says_positive_and_that_the_map_is_withheld(written):
    words = {"caption": Caption(), "software": "hilum 0.1.0", "settings": SMALL}
    rgb = drawn(FILM, without_map(FIRST), **words)
    text = " ".join(written)
    assert sum("ABOVE" in word for word in written) == 2
    assert outcome(2) in text
    assert f"Note: {FIRST}: {WITHHELD}." in text
    alone = drawn(FILM, prediction({SECOND: BLOBS[SECOND]}), **words)
    assert (painted(rgb) == painted(alone)).all()


def test_a_picture_whose_only_positive_finding_has_no_map_is_bare_and_has_no_legend(written):
    only = without_map(FIRST, {FIRST: BLOBS[FIRST]})
    rgb = drawn(FILM, only, caption=Caption(), software="hilum", settings=SMALL)
    assert not painted(rgb).any()
    assert WITHHELD in " ".join(written)
    assert "Colour:" not in " ".join(written)


def test_a_comparison_draws_the_map_of_a_change_that_has_one(written):
    words = {"current": Caption(), "prior": Caption(), "software": "hilum", "settings": SMALL}
    model = prediction().model
    both = comparison()
    kept = both.heatmap_differences.copy()
    kept[LABELS.index("Effusion")] = -kept[LABELS.index("Nodule")]
    kept[LABELS.index("Nodule")] = 0  # the largest change, withheld
    draw_comparison(FILM, replace(both, heatmap_differences=kept), model=model, **words)
    assert "Heat-map difference: Effusion (decreased)" in written
    nothing = replace(both, heatmap_differences=np.zeros_like(kept))
    draw_comparison(FILM, nothing, model=model, **words)
    assert "Heat-map difference: no map shows the change of Effusion, Nodule" in written


def test_the_report_says_present_gives_no_region_and_says_why():
    ds = read_back(answer(found=without_map(FIRST)))["report"]
    assert list(states(ds).values()).count("Present") == 2
    groups = named(ds, "125007")
    assert [group.ContentSequence[-1].TextValue for group in groups] == [
        f"{SECOND} 80.0 % (AI, threshold 30.0 %)"
    ]
    said = [item.TextValue for item in named(ds, "121071") if item.ValueType == "TEXT"]
    assert said[0] == f"{FIRST}: 90.0 %, above the site's threshold (30.0 %); {WITHHELD}"
    assert not any(WITHHELD in text for text in said[1:])


def test_a_report_of_withheld_findings_only_shows_no_place():
    only = without_map(FIRST, {FIRST: BLOBS[FIRST]})
    ds = read_back(answer(found=only))["report"]
    (group,) = named(ds, "125007")
    assert group.ContentSequence[-1].TextValue == outcome_on_film(1)
    assert len(named(ds, "126010")) == 1
    assert named(ds, "111017")[0].ConceptCodeSequence[0].CodeValue == "111242"
