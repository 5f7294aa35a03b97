import numpy as np
import pytest
from films import chest, make_film_ds
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import blob
from pydicom import dcmread
from skimage.transform import SimilarityTransform, resize, warp

from inference.comparison import Comparison
from inference.comparison.alignment import align, pixel_ratio, register
from inference.comparison.change_null import (
    BAND,
    SHARES,
    ChangeNullDistribution,
    Condition,
    ConditionNull,
)
from inference.comparison.compare import (
    INVERTED,
    NAMED_OF_NO_MIRRORED,
    NO_CONDITION,
    NO_NULL,
    compare,
)
from inference.comparison.conditions import (
    Acquisition,
    Side,
    condition_of,
    is_stored_mirrored,
    mirroring,
)
from inference.comparison.difference import AlignedPair, difference
from inference.comparison.exposure import unexplained
from inference.comparison.extent import POOR_FIT, whole
from inference.comparison.finding_changes import changes
from inference.comparison.posture import posture
from inference.comparison.result import BARE, SHOWN, shows
from inference.drawing import layers
from inference.findings import FINDINGS, LABELS, Change, ModelIdentity, Prediction
from inference.image.film import Film, View, read_film

MODEL = ModelIdentity("seeded", "1", "0" * 64)


@pytest.fixture(autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


def prediction(probability=0.5, heatmaps=None, model=MODEL, threshold=0.5) -> Prediction:
    if heatmaps is None:
        heatmaps = np.zeros((14, 7, 7))
    return Prediction(
        probabilities=np.full(14, probability, dtype=np.float32),
        thresholds=np.full(14, threshold, dtype=np.float32),
        heatmaps=np.asarray(heatmaps, dtype=np.float32),
        model=model,
    )


def film(pixels, view=View.PA, spacing_mm=None) -> Film:
    return Film(np.asarray(pixels, dtype=np.float32), view, spacing_mm)


def null(band=1.0, conditions=tuple(Condition)) -> ChangeNullDistribution:
    """Make a null whose critical value is ``band`` for each finding."""
    row = tuple(share / BAND for share in SHARES)
    return ChangeNullDistribution(
        shares=SHARES,
        spread=dict.fromkeys(LABELS, band),
        conditions={
            one: ConditionNull(pairs=100, patients=50, differences=row) for one in conditions
        },
        exposures=1,
    )


def compared(current, prior, **options) -> Comparison:
    return compare(current, prior, prediction(**options), prediction(**options), null=null())


def moved_by(picture, *, scale=1.0, degrees=0.0, shift=(0.0, 0.0)):
    """Return the picture moved, and the transform: point of the moved one -> of the picture."""
    h, w = picture.shape
    middle = SimilarityTransform(translation=(-w / 2 + 0.5, -h / 2 + 0.5))
    turned = SimilarityTransform(scale=1 / scale, rotation=np.radians(degrees))
    back = SimilarityTransform(translation=(w / 2 - 0.5 + shift[0], h / 2 - 0.5 + shift[1]))
    transform = middle + turned + back
    return warp(picture, transform, order=1, mode="edge").astype(np.float32), transform


def error_px(alignment, transform, margin=0.1) -> float:
    """Median distance, in working pixels, of where points were put from where they belong."""
    h, w = alignment.shape
    y, x = (np.linspace(margin * n, (1 - margin) * n, 20).astype(int) for n in (h, w))
    columns, rows = (one.ravel() for one in np.meshgrid(x, y))
    found = alignment.places.numpy()[:, rows, columns].T * max(h, w) + ((w - 1) / 2, (h - 1) / 2)
    return float(np.median(np.linalg.norm(found - transform(np.stack([columns, rows], 1)), axis=1)))


MOVES = [
    {},
    {"shift": (25, -18)},
    {"scale": 1.08, "shift": (-20, 10)},
    {"degrees": 5},
    {"scale": 0.93, "degrees": -4, "shift": (15, 20)},
]


@pytest.mark.parametrize("move", MOVES)
def test_a_known_movement_is_found_to_a_pixel_and_a_half(move):
    picture = chest(512, 448)
    current, transform = moved_by(picture, **move)
    alignment = align(current, picture)
    assert error_px(alignment, transform) < 1.5
    assert alignment.scale == pytest.approx(move.get("scale", 1.0), abs=0.01)
    assert alignment.rotation_deg == pytest.approx(move.get("degrees", 0), abs=0.5)


def test_a_known_movement_of_a_real_film_is_found(philips_film):
    picture = resize(read_film(dcmread(philips_film)).pixels, (512, 482)).astype(np.float32)
    current, transform = moved_by(picture, scale=1.05, degrees=3, shift=(18, -22))
    assert error_px(align(current, picture), transform) < 1.5


def test_the_same_films_always_give_the_same_comparison():
    current, prior = film(chest(300, 260, seed=1)), film(chest(280, 250, seed=2))
    first, second = compared(current, prior), compared(current, prior)
    assert np.array_equal(first.structural, second.structural)
    assert first.quality == second.quality


def test_a_film_against_itself_shows_no_difference():
    one = film(chest(600, 500))
    result = compared(one, one)
    assert result.comparable
    assert result.reason == ""
    assert result.quality > 0.999
    assert result.ssim > 0.999
    assert np.abs(result.structural).max() < 1e-3
    assert np.abs(result.heatmap_differences).max() < 1e-3
    assert {one.change for one in result.changes} == {Change.UNCHANGED}


def test_a_darker_exposure_is_no_structural_difference():
    picture = chest(512, 448)
    result = compared(film(0.2 + 0.6 * picture**1.3), film(picture))
    assert result.comparable
    assert result.quality > 0.95
    assert np.abs(result.structural).mean() < 0.05


def with_opacity(picture, y, x, radius, gain):
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    spot = np.exp(-(((rows - y) ** 2 + (columns - x) ** 2) / radius**2))
    return np.clip(picture + gain * spot, 0, 1)


def test_a_new_opacity_is_positive_where_it_is_and_a_vanished_one_negative():
    picture = chest(512, 448)
    opaque = film(with_opacity(picture, 200, 130, 20, 0.3))
    grown = compared(opaque, film(picture)).structural
    assert np.argwhere(grown > 0.9 * grown.max()).mean(axis=0) == pytest.approx((200, 130), abs=5)
    assert grown.max() > 0.4
    assert np.median(np.abs(grown)) < 0.05
    gone = compared(film(picture), opaque).structural
    assert np.argwhere(gone < 0.9 * gone.min()).mean(axis=0) == pytest.approx((200, 130), abs=5)
    assert gone.min() < -0.4


def test_films_of_different_matrix_size_are_laid_onto_each_other():
    large, small = film(chest(1000, 900)), film(chest(500, 450))
    result = compared(large, small)
    assert result.current.shape == result.prior.shape == (512, 461)
    assert result.quality > 0.9


def test_a_known_spacing_is_the_first_guess_and_an_absurd_one_is_not():
    at = [film(chest(64, 56), spacing_mm=(mm, mm)) for mm in (0.2, 0.3, 5.0)]
    assert pixel_ratio(at[0], at[1]) == pytest.approx(1.5)
    assert pixel_ratio(at[0], at[2]) == 1
    assert pixel_ratio(at[0], film(chest(64, 56))) == 1


def test_noise_is_not_comparable():
    noise = np.random.default_rng(0).random((512, 448))
    result = compared(film(chest(512, 448)), film(noise))
    assert not result.comparable
    assert "hardly match" in result.reason or "overlap" in result.reason
    assert abs(result.quality) < 0.2
    assert not result.structural.any()
    assert not result.heatmap_differences.any()
    assert {one.change for one in result.changes} == {Change.UNCERTAIN}


@pytest.mark.parametrize("pixels", [np.zeros((512, 448)), np.full((300, 40), 0.5), np.ones((9, 9))])
def test_an_empty_film_is_not_comparable_and_no_error(pixels):
    result = compared(film(chest(512, 448)), film(pixels))
    assert not result.comparable
    assert np.isfinite(result.quality)
    assert not compared(film(pixels), film(chest(512, 448))).comparable


def test_an_inverted_prior_is_turned_back_and_said_to_be():
    picture = chest(512, 448)
    current, _ = moved_by(picture, shift=(20, -10))
    result = compare(
        film(current), film(1 - picture), prediction(0.9), prediction(0.1), null=null()
    )
    assert result.comparable
    assert result.reason == INVERTED
    assert result.quality > 0.95
    assert np.abs(result.structural).mean() < 0.05
    # the network read one of them as it was never taught to
    assert {one.change for one in result.changes} == {Change.UNCERTAIN}


def test_a_film_turned_on_its_side_is_not_comparable():
    picture = chest(512, 448)
    assert not compared(film(picture), film(np.rot90(picture))).comparable


def test_a_lateral_is_never_compared():
    picture = chest(300, 260)
    result = compared(film(picture), film(picture, View.LATERAL))
    assert not result.comparable
    assert result.reason == "the prior film is lateral"


def test_another_projection_limits_the_comparison_and_says_nothing_of_the_heart():
    picture = chest(300, 260)
    films = film(picture), film(picture, View.AP)
    result = compare(*films, prediction(0.9), prediction(0.1), null=null())
    assert result.comparable
    assert result.reason == "PA film against AP film"
    words = {one.label: one.change for one in result.changes}
    assert words.pop("Cardiomegaly") is Change.UNCERTAIN
    assert set(words.values()) == {Change.NEW}


def test_what_does_not_resolve_has_not_done_so_because_another_view_does_not_show_it():
    picture = chest(300, 260)
    for view, word in ((View.AP, Change.UNCERTAIN), (View.PA, Change.RESOLVED)):
        found = compare(
            film(picture), film(picture, view), prediction(0.1), prediction(0.9), null=null()
        )
        words = {one.label: one.change for one in found.changes}
        assert {words[label] for label in ("Hernia", "Fibrosis", "Emphysema")} == {word}
        assert words["Effusion"] is Change.RESOLVED


@pytest.mark.parametrize(
    ("views", "notes", "condition"),
    [
        ((View.PA, View.PA), ((), ()), Condition.PA),
        ((View.AP, View.AP), ((), ()), Condition.AP),
        ((View.PA, View.AP), ((), ()), Condition.PA_AP),
        ((View.AP, View.AP), ((), ("portable film",)), Condition.BEDSIDE),
        ((View.AP, View.AP), (("supine film",), ("supine film",)), Condition.BEDSIDE),
        ((View.AP, View.PA), (("supine film",), ()), Condition.BEDSIDE),
        ((View.PA, View.PA), ((), ("portable film",)), Condition.BEDSIDE),
        ((View.AP, View.UNKNOWN), (("portable film",), ()), None),
        ((View.PA, View.UNKNOWN), ((), ()), None),
        ((View.FRONTAL, View.FRONTAL), ((), ()), None),
    ],
)
def test_the_condition_of_a_pair_is_stated_or_none(views, notes, condition):
    picture = chest(300, 260)
    films = tuple(film(picture, view) for view in views)
    taken = tuple(Acquisition(notes=some) for some in notes)
    assert condition_of(films, taken) is condition
    found = compare(*films, prediction(0.9), prediction(0.1), null=null(), taken=taken)
    named = {one.label for one in found.changes if one.called}
    assert (NO_CONDITION in found.reason) is (condition is None)
    assert bool(named) is (condition is not None)


def test_under_a_condition_that_was_not_measured_no_change_is_named_and_the_reason_is_given():
    picture = chest(300, 260)
    few = ConditionNull(pairs=28, patients=24, differences=(1.0, 2.0))
    measured = null(conditions=(Condition.PA,))
    measured = measured.model_copy(
        update={"conditions": {**measured.conditions, Condition.PA_AP: few}}
    )
    for view, pairs in ((View.AP, 28), (View.PA, None)):
        found = compare(
            film(picture), film(picture, view), prediction(0.9), prediction(0.1), null=measured
        )
        assert {one.called for one in found.changes} == {pairs is None}
        if pairs is None:
            assert found.reason == ""
        else:
            assert "no change of a finding is named between a PA and an AP film" in found.reason
            assert "on 28 pairs of such films, and 59 are needed" in found.reason
            assert {one.confidence for one in found.changes} == {None}


@pytest.mark.parametrize(
    "note", ["stored with lossy compression", "portable film", "age not stated"]
)
def test_what_limits_the_prior_limits_the_comparison_and_names_it(note):
    one = film(chest(300, 260), View.AP)
    taken = (Acquisition(), Acquisition(notes=(note,)))
    found = compare(one, one, prediction(), prediction(), null=null(), taken=taken)
    assert found.reason == f"the prior film: {note}"
    # the current film's own limits are notes of its answer
    assert (
        compare(one, one, prediction(), prediction(), null=null(), taken=taken[::-1]).reason == ""
    )


def test_two_networks_are_not_compared_by_their_probabilities():
    other = ModelIdentity("seeded", "2", "1" * 64)
    one = film(chest(300, 260))
    result = compare(one, one, prediction(0.9), prediction(0.1, model=other), null=null())
    assert "different networks" in result.reason
    assert {one.change for one in result.changes} == {Change.UNCERTAIN}


def test_heat_maps_are_moved_with_the_film_and_weighted_by_probability():
    picture = chest(512, 448)
    current, _ = moved_by(picture, shift=(40, -30))
    here, there = np.zeros((14, 64, 56)), np.zeros((14, 64, 56))
    there[0, 30:34, 26:30] = 1  # 8 film pixels to one of the map; centre at (256, 224)
    result = compare(film(current), film(picture), prediction(0.8, here), prediction(0.5, there))
    gone = result.heatmap_differences[0]
    assert gone.min() == pytest.approx(-0.5 / 0.8, abs=0.06)
    assert np.unravel_index(gone.argmin(), gone.shape) == pytest.approx((286, 184), abs=16)
    assert not result.heatmap_differences[1:].any()
    grown = compare(film(picture), film(picture), prediction(0.8, there), prediction(0.5, here))
    assert grown.heatmap_differences[0].max() == pytest.approx(1, abs=0.06)


def pointing(x, y, width=0.06):
    """A prediction whose maps all point at one place, as fractions of the film."""
    return prediction(heatmaps=np.repeat(blob(28, 28, x, y, width)[None], 14, axis=0))


@pytest.mark.parametrize(
    ("current", "prior", "same"),
    [
        (pointing(0.7, 0.4), pointing(0.7, 0.4), True),
        (pointing(0.7, 0.4), pointing(0.72, 0.42), True),
        (pointing(0.7, 0.4, 0.12), pointing(0.72, 0.45, 0.05), True),  # it has grown
        (pointing(0.7, 0.4), pointing(0.3, 0.4), False),
        (pointing(0.7, 0.4), prediction(), False),
        (prediction(), prediction(), False),
    ],
    ids=["same", "near", "grown", "other side", "no map before", "no map at all"],
)
def test_it_is_said_whether_a_finding_is_where_it_was(current, prior, same):
    one = film(chest(512, 448))
    found = compare(one, one, current, prior, null=null())
    assert (found.same_places == same).all()


def test_a_finding_that_was_moved_with_the_film_is_where_it_was():
    picture = chest(512, 448)
    moved = film(np.roll(picture, 90, axis=1)[:, 90:])  # its left edge is gone
    before = pointing(0.7, 0.4)
    there = pointing(0.7 * 448 / 358, 0.4)  # where the place lies on what is left
    here = pointing(0.45, 0.4)
    for current, same in ((there, True), (here, False)):
        found = compare(moved, film(picture), current, before, null=null())
        assert found.comparable
        assert (found.same_places == same).all()


def test_maps_are_zero_outside_the_overlap():
    picture = chest(512, 448)
    current, _ = moved_by(picture, shift=(0, 60))
    maps = np.ones((14, 7, 7))
    result = compare(film(current), film(picture), prediction(0.9, maps), prediction(0.1, maps))
    outside = ~result.overlap
    assert outside.mean() > 0.05
    assert not result.prior[outside].any()
    assert not result.structural[outside].any()
    assert not result.heatmap_differences[:, outside].any()


CALLS = [  # prior, current, with a band of 1 in log odds
    (0.1, 0.9, Change.NEW),
    (0.9, 0.1, Change.RESOLVED),
    (0.6, 0.9, Change.INCREASED),
    (0.9, 0.6, Change.DECREASED),
    (0.9, 0.85, Change.UNCHANGED),
    (0.1, 0.15, Change.UNCHANGED),
    (0.45, 0.55, Change.UNCERTAIN),  # crosses the threshold within the band
    (0.55, 0.45, Change.UNCERTAIN),
    (0.1, 0.4, Change.UNCERTAIN),  # beyond the band, below the threshold
]


@pytest.mark.parametrize(("prior", "current", "change"), CALLS)
def test_a_change_is_named_only_beyond_the_critical_value(prior, current, change):
    made = changes(prediction(current), prediction(prior), null(), Condition.PA)
    assert [one.label for one in made] == list(LABELS)
    assert {one.change for one in made} == {change}
    assert made[0].prior == pytest.approx(prior)
    assert made[0].current == pytest.approx(current)
    assert made[0].called is (made[0].confidence > BAND and change is not Change.UNCERTAIN)


def test_without_a_measured_null_no_change_is_named():
    for unmeasured in (None, null(conditions=())):
        made = changes(prediction(0.99), prediction(0.01), unmeasured, Condition.PA)
        assert {one.change for one in made} == {Change.UNCERTAIN}
        assert {one.confidence for one in made} == {None}
        assert {one.text for one in made} == {"uncertain"}


def test_the_answer_of_a_model_without_a_null_says_why_no_change_is_named():
    one = film(chest(300, 260))
    found = compare(one, one, prediction(0.9), prediction(0.1))
    assert found.reason == NO_NULL
    assert {change.called for change in found.changes} == {False}
    older = null(conditions=(Condition.PA,))  # of a bundle that never heard of portable films
    taken = (Acquisition(notes=("portable film",)), Acquisition())
    found = compare(one, one, prediction(0.9), prediction(0.1), null=older, taken=taken)
    assert "between films of which one is supine or portable" in found.reason
    assert "on 0 pairs of such films" in found.reason


def test_the_confidence_is_the_share_of_pairs_without_change_in_which_no_finding_differs_more():
    measured = null(band=2.0)
    assert measured.critical("Mass", Condition.AP) == 2.0
    assert measured.confidence("Mass", 0, Condition.AP) == 0
    assert measured.confidence("Mass", -2.0, Condition.AP) == pytest.approx(0.95)
    assert measured.confidence("Mass", 1e9, Condition.AP) == SHARES[-1]  # no more was measured
    (said, *_) = changes(prediction(0.99), prediction(0.01), measured, Condition.AP)
    assert said.text == "new: differs more than in 99 of 100 pairs without change"


@pytest.mark.parametrize(
    "spoilt",
    [
        {"shares": tuple(reversed(SHARES))},
        {"shares": (0.5, 0.9)},
        {"spread": dict.fromkeys(LABELS, 0.0)},
        {"spread": dict.fromkeys(LABELS[::-1], 1.0)},
        {"conditions": {"PA": {"pairs": 9, "patients": 9, "differences": (2.0, 1.0)}}},
        {"conditions": {"PA": {"pairs": 9, "patients": 9, "differences": (1.0,) * 9}}},
    ],
)
def test_a_null_that_does_not_fit_together_is_refused(spoilt):
    with pytest.raises(ValueError, match=r"share|spread|differences|in this order"):
        ChangeNullDistribution.model_validate(null().model_dump() | spoilt)


@settings(max_examples=200, deadline=None)
@given(prior=st.floats(0, 1), current=st.floats(0, 1), threshold=st.floats(0, 1))
def test_swapping_the_films_mirrors_the_change(prior, current, threshold):
    then, now = (prediction(p, threshold=threshold) for p in (prior, current))
    forward = changes(now, then, null(), Condition.PA)[0]
    backward = changes(then, now, null(), Condition.PA)[0]
    mirror = {
        Change.NEW: Change.RESOLVED,
        Change.RESOLVED: Change.NEW,
        Change.INCREASED: Change.DECREASED,
        Change.DECREASED: Change.INCREASED,
    }
    assert backward.change is mirror.get(forward.change, forward.change)
    assert backward.confidence == forward.confidence
    if forward.confidence <= BAND:
        assert forward.change in (Change.UNCHANGED, Change.UNCERTAIN)


SWAPS = [
    (chest(512, 448), chest(512, 448, seed=3)),
    (chest(512, 448), chest(400, 512, seed=4)[::-1].copy()),
    (chest(512, 400)[:, :250].copy(), chest(512, 448, seed=5)),
    (chest(512, 448), moved_by(chest(512, 448, seed=6), scale=1.6)[0]),
    (chest(512, 448), 1 - chest(512, 448, seed=7)),
]


@pytest.mark.parametrize("number", range(len(SWAPS)))
def test_both_orders_of_a_pair_get_the_same_verdict(number):
    one, other = (film(pixels) for pixels in SWAPS[number])
    forward, backward = compared(one, other), compared(other, one)
    assert backward.quality == forward.quality
    assert backward.comparable is forward.comparable
    assert backward.ssim == forward.ssim
    assert backward.reason == forward.reason


def test_the_other_order_of_a_pair_is_laid_the_other_way():
    picture = chest(512, 448)
    current, transform = moved_by(picture, scale=1.05, degrees=3, shift=(18, -22))
    assert error_px(align(current, picture), transform) < 1.5
    assert error_px(align(picture, current), transform.inverse) < 1.5
    ways = [register(*films).alignment.found for films in ((current, picture), (picture, current))]
    assert sum(found is None for found in ways) == 1


def test_exchanging_the_films_changes_the_sign_of_the_difference_and_nothing_else():
    rng = np.random.default_rng(0)
    overlap = np.ones((128, 128), dtype=bool)
    one, other = (rng.random((128, 128), dtype=np.float32) for _ in range(2))
    shown = difference(AlignedPair(one, other, overlap))
    assert shown.dtype == np.float32
    assert np.abs(shown).max() <= 1
    assert np.allclose(shown, -difference(AlignedPair(other, one, overlap)), atol=1e-6)


class HalfOfIt:
    """Says that the left half of a film, where it shows anything, is lung."""

    def find(self, pixels):
        lungs = pixels > 0
        lungs[:, pixels.shape[1] // 2 :] = False
        return lungs


def test_differences_are_shown_in_the_lung_fields_alone():
    picture = chest(512, 448)
    opaque = film(with_opacity(with_opacity(picture, 200, 130, 20, 0.3), 200, 318, 20, 0.3))
    everywhere = compared(opaque, film(picture))
    assert everywhere.lungs.all()
    assert everywhere.structural[:, 224:].max() > 0.4
    inside = compare(
        opaque, film(picture), prediction(), prediction(), null=null(), lungs=HalfOfIt()
    )
    assert inside.structural[:, :224].max() > 0.4
    assert not inside.structural[:, 224:].any()
    assert not inside.lungs[:, 224:].any()


class NothingAtAll:
    """Finds no lung."""

    def find(self, pixels):
        return np.zeros(pixels.shape, dtype=bool)


def test_where_no_lung_is_found_the_whole_film_counts():
    one = film(chest(300, 260))
    assert compare(one, one, prediction(), prediction(), lungs=NothingAtAll()).lungs.all()


def test_a_deep_breath_is_followed_and_a_new_opacity_is_not():
    picture = chest(512, 448)
    y, x = np.mgrid[0:512, 0:448].astype(float)
    deeper = y + 14 * np.exp(-(((y - 400) / 120) ** 2))  # the lung bases lie 14 px lower
    breathed = warp(picture, np.array([deeper, x]), order=1, mode="edge").astype(np.float32)
    stiff, bent = (align(breathed, picture, deform=deform) for deform in (False, True))
    there = np.stack([x, deeper])
    inside = (slice(60, 450), slice(60, 390))

    def error(alignment):
        at = alignment.places.numpy() * 512 + np.array([447 / 2, 511 / 2])[:, None, None]
        return float(np.median(np.hypot(*(at - there))[inside]))

    assert error(bent) < 0.6 * error(stiff)
    assert error(bent) < 1.5
    opaque = align(with_opacity(breathed, 200, 130, 25, 0.3).astype(np.float32), picture)
    assert error(opaque) < 1.5


def test_no_place_is_bent_further_than_a_breath_moves_it():
    current, prior = chest(300, 260, seed=1), np.rot90(chest(300, 260, seed=2), 2).copy()
    moves = align(current, prior).deformation.on((300, 260))  # x and y, in long edges
    assert 20 < 512 * moves.norm(dim=0).max() <= 40 + 1e-3


def test_black_borders_of_a_collimator_do_not_pull_the_films():
    picture = chest(512, 448)
    current, transform = moved_by(picture, shift=(12, -9))
    current[:, :40] = current[:, -30:] = current[:25] = 0
    assert error_px(align(current, picture), transform, margin=0.15) < 1.5


def test_every_finding_has_a_change():
    one = film(chest(128, 112))
    assert len(compared(one, one).changes) == len(FINDINGS)


AS_USUAL, MIRRORED, UNCLEAR = Side.AS_USUAL, Side.MIRRORED, Side.UNCLEAR


@pytest.mark.parametrize(
    ("current", "prior", "flipped", "refused"),
    [
        # header mirrored, picture: of the current film, and of the prior
        ((False, AS_USUAL), (False, AS_USUAL), (False, False), ""),
        ((False, UNCLEAR), (True, UNCLEAR), (False, True), ""),
        ((True, MIRRORED), (False, AS_USUAL), (True, False), ""),
        ((True, MIRRORED), (True, MIRRORED), (True, True), ""),
        ((False, MIRRORED), (False, AS_USUAL), (True, False), ""),
        ((False, AS_USUAL), (False, MIRRORED), (False, True), ""),
        ((False, MIRRORED), (True, MIRRORED), (True, True), ""),  # one header is silent or untrue
        ((False, MIRRORED), (False, MIRRORED), (False, False), ""),  # situs inversus
        ((True, AS_USUAL), (False, MIRRORED), (True, False), ""),  # situs inversus, headers true
        ((False, UNCLEAR), (False, MIRRORED), None, "only the prior film looks mirrored"),
        ((True, AS_USUAL), (False, AS_USUAL), None, "PatientOrientation calls the current film"),
        ((False, UNCLEAR), (True, AS_USUAL), None, "PatientOrientation calls the prior film"),
    ],
)
def test_which_film_is_mirrored_back_is_known_or_nothing_is_compared(
    current, prior, flipped, refused
):
    decided = mirroring(Acquisition(*current), Acquisition(*prior))
    back = mirroring(Acquisition(*prior), Acquisition(*current))
    if refused:
        assert refused in decided.refusal
        assert back.refusal
    else:
        assert (decided.current, decided.prior) == flipped
        assert (back.prior, back.current) == flipped
        assert decided.refusal == ""


def mirror(one: Film) -> Film:
    return film(one.pixels[:, ::-1].copy(), one.view)


@pytest.mark.parametrize("which", ["current", "prior", "both"])
def test_a_mirrored_film_is_mirrored_back_and_all_its_maps_with_it(which):
    picture = chest(512, 448)
    moved, _ = moved_by(with_opacity(picture, 200, 130, 20, 0.3), shift=(20, -12))
    now, before = pointing(0.7, 0.4), pointing(0.7, 0.4)
    whole = compare(film(moved), film(picture), now, before, null=null())

    def turned(one, said, wrong):
        if not wrong:
            return one, said, Acquisition()
        maps = said.heatmaps[..., ::-1].copy()
        return mirror(one), prediction(heatmaps=maps), Acquisition(stored_mirrored=True)

    ours = turned(film(moved), now, which in ("current", "both"))
    theirs = turned(film(picture), before, which in ("prior", "both"))
    found = compare(ours[0], theirs[0], ours[1], theirs[1], null=null(), taken=(ours[2], theirs[2]))
    assert found.comparable
    assert found.quality == whole.quality
    for name in ("current", "prior"):
        said = f"the {name} film is mirrored left to right, and was mirrored back to compare it"
        assert (said in found.reason) is (which in (name, "both"))
    assert NAMED_OF_NO_MIRRORED in found.reason
    assert {one.change for one in found.changes} == {Change.UNCERTAIN}
    assert found.same_places.all()

    def stored(maps):  # on the current film as it is stored
        return maps[..., ::-1] if which in ("current", "both") else maps

    for name in ("current", "prior", "overlap", "structural", "heatmap_differences", "lungs"):
        assert np.array_equal(getattr(found, name), stored(getattr(whole, name)))
    across, down = stored(whole.places)
    there = np.stack([1 - across if which in ("prior", "both") else across, down])
    assert np.allclose(found.places, there)


def test_a_film_that_is_called_mirrored_and_fits_better_as_it_is_is_not_compared():
    picture = chest(512, 448)
    moved, _ = moved_by(picture, shift=(20, -12))
    for taken in (
        (Acquisition(stored_mirrored=True), Acquisition()),
        (Acquisition(looks=AS_USUAL), Acquisition(looks=MIRRORED)),
    ):
        found = compare(
            film(moved), film(picture), prediction(), prediction(), null=null(), taken=taken
        )
        assert not found.comparable
        assert "film is stated to be mirrored, but matches less mirrored back" in found.reason


@pytest.mark.parametrize(
    ("stated", "stored_mirrored"),
    [(["L", "F"], False), (["R", "F"], True), (["RH", "F"], True), ("", False), (None, False)],
)
def test_a_film_is_stored_mirrored_when_its_rows_run_to_the_right(stated, stored_mirrored):
    assert is_stored_mirrored(make_film_ds(PatientOrientation=stated)) is stored_mirrored


class TwoLungs:
    """Says where the lungs of `chest` are."""

    def find(self, pixels):
        return two_lungs(pixels.shape)


def two_lungs(shape):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    y, x = y / shape[0], x / shape[1]
    return np.any(
        [((x - c) / 0.19) ** 2 + ((y - 0.44) / 0.32) ** 2 < 1 for c in (0.28, 0.72)], axis=0
    )


@pytest.mark.parametrize(
    ("size", "sign"),
    [(0.5, 1), *((size, sign) for size in (0.04, 0.08, 0.15, 0.3) for sign in (1, -1))],
)
def test_an_opacity_of_any_size_is_marked_whole(size, sign):
    picture = chest(512, 448)
    y, x = np.mgrid[0:512, 0:448]
    place = np.hypot(y - 240, x - 125) < size * 448 / 2
    white = np.where(place, np.clip(picture + 0.3, 0, 1), picture).astype(np.float32)
    films = (film(white), film(picture)) if sign > 0 else (film(picture), film(white))
    found = compare(*films, prediction(), prediction(), null=null(), lungs=TwoLungs())
    where = place & found.lungs
    assert (sign * found.structural[where] >= 0.6).mean() > 0.8
    assert (sign * found.structural[where] <= -0.6).mean() == 0
    assert (np.abs(found.structural[found.lungs & ~place]) >= 0.6).mean() < 0.15


@pytest.mark.parametrize("sign", [1, -1])
def test_a_wide_opacity_without_a_sharp_rim_is_marked_whole_and_with_one_sign(sign):
    picture = chest(512, 448)
    y, x = np.mgrid[0:512, 0:448]
    soft = np.clip((1 - np.hypot(y - 240, x - 125) / (0.5 * 448 / 2)) / 0.4, 0, 1)
    white = np.clip(picture + 0.2 * soft**2 * (3 - 2 * soft), 0, 1).astype(np.float32)
    films = (film(white), film(picture)) if sign > 0 else (film(picture), film(white))
    found = compare(*films, prediction(), prediction(), null=null(), lungs=TwoLungs())
    where = (soft >= 0.5) & found.lungs
    assert (sign * found.structural[where] >= 0.6).mean() > 0.8
    assert (sign * found.structural <= -0.6).sum() == 0


def lungs_that_changed(by, elsewhere=0.0):
    """Return two films and their lungs: one lung changed by so many grey levels."""
    prior = chest(512, 448)
    lungs = two_lungs(prior.shape)
    left = lungs & (np.arange(448) < 224)
    changed = np.where(left, by, np.where(lungs, elsewhere, 0)).astype(np.float32)
    return prior + changed, prior, lungs


def marks_of(current, prior, lungs):
    nothing = np.zeros(prior.shape, np.float32)
    return whole(nothing, current, prior, np.ones_like(lungs), lungs)


def test_a_lung_that_turned_white_without_any_edge_is_marked_and_the_other_is_not():
    current, prior, lungs = lungs_that_changed(0.2)
    made = marks_of(current, prior, lungs)
    assert (made[:, :224][lungs[:, :224]] >= 0.6).mean() > 0.9
    assert not made[:, 224:].any()
    assert np.allclose(made, -marks_of(prior, current, lungs))


def test_what_changed_in_both_lungs_alike_is_breath_or_exposure_and_not_marked():
    assert not marks_of(*lungs_that_changed(0.1, elsewhere=0.1)).any()


def test_where_exposure_does_not_explain_the_films_nothing_wide_is_marked():
    current, prior, lungs = lungs_that_changed(0.2)
    y, x = np.mgrid[0:512, 0:448]
    uneven = current + 0.25 * np.sin(y / 25) * np.sin(x / 25)
    assert unexplained(uneven, prior, np.ones_like(lungs)).scale > POOR_FIT
    assert not marks_of(uneven.astype(np.float32), prior, lungs).any()


def test_marks_of_the_other_sign_inside_a_white_lung_are_painted_over_and_specks_go():
    current, prior, lungs = lungs_that_changed(0.2)
    marked = np.zeros(prior.shape, np.float32)
    marked[230:260, 110:140] = -0.9  # in the white lung
    marked[230:233, 320:323] = 0.9  # a speck in the other
    made = whole(marked, current, prior, np.ones_like(lungs), lungs)
    assert (made[230:260, 110:140] >= 0.6).all()
    assert made[:, 224:].max() < 0.6


def test_another_tone_curve_and_a_slope_across_the_film_are_exposure():
    prior = chest(512, 448)
    across = np.linspace(0, 0.1, 448, dtype=np.float32)
    current = (0.1 + 0.7 * prior**1.4 + across).astype(np.float32)
    left = unexplained(current, prior, np.ones(prior.shape, bool))
    assert np.quantile(np.abs(left.grey), 0.95) < 0.01
    assert left.scale < 0.01


def test_marks_on_apices_diaphragm_and_edges_alone_are_put_down_to_posture():
    lungs = two_lungs((512, 448))
    nothing = np.zeros((512, 448), np.float32)
    apex_and_base = nothing.copy()
    apex_and_base[90:115, 115:135] = apex_and_base[90:115, 315:335] = 0.8
    apex_and_base[370:385, 110:140] = -0.8
    assert "posture" in posture(apex_and_base * lungs, lungs)
    one_effusion = nothing.copy()
    one_effusion[330:390, 60:180] = 0.9
    assert posture(one_effusion * lungs, lungs) == ""
    large = apex_and_base.copy()
    large[180:300, 80:180] = 0.9
    assert posture(large * lungs, lungs) == ""
    assert posture(nothing, lungs) == ""
    assert posture(apex_and_base, np.ones_like(lungs)) == ""  # the lungs are not known


def test_a_map_that_is_offered_shows_the_change_that_it_is_named_by():
    y, x = np.mgrid[0:64, 0:64]
    spot = np.exp(-((y - 30) ** 2 + (x - 30) ** 2) / 50).astype(np.float32)
    for change, sign in ((Change.NEW, 1), (Change.INCREASED, 1), (Change.RESOLVED, -1)):
        assert shows(change, sign * spot)
        assert not shows(change, -sign * spot)
        assert not shows(change, 0.2 * sign * spot)  # too faint to be seen
    corner = np.zeros((64, 64), np.float32)
    corner[:5, :5] = 1  # kept bare, for the markers
    assert not shows(Change.NEW, corner)
    assert not shows(Change.UNCHANGED, spot)
    assert BARE == layers.CORNER
    assert layers.difference_opacity(np.array([SHOWN])).max() >= 0.25


@pytest.mark.parametrize("probability", [0.05, 0.3, 0.9])
def test_the_map_of_a_new_finding_is_seen_however_low_the_threshold(probability):
    one = film(chest(512, 448))
    here = pointing(0.7, 0.4).heatmaps
    now = prediction(probability, here, threshold=probability)
    before = prediction(probability / 10, here, threshold=probability)
    found = compare(one, one, now, before, null=null())
    assert {change.change for change in found.changes} == {Change.NEW}
    assert all(shows(Change.NEW, difference) for difference in found.heatmap_differences)
