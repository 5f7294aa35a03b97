"""Every kind of object in a real archive: stored, read back, shown."""

import numpy as np
import pytest
from answers import read_back
from golden import as_golden, difference, golden_path, load_golden
from PIL import Image
from study import make_study

from scp.results.kinds import KINDS

pytestmark = pytest.mark.xdist_group("viewer")

CAPTURES = ("summary-capture", "finding-capture", "comparison-capture")
# mean difference in grey levels of 255, of pictures of a quarter of the size: letters that another
# Pillow draws half a pixel off stay below it, and a heat map elsewhere does not
TOLERANCE = 1.0


@pytest.fixture(scope="module")
def study(philips_film):
    return make_study(philips_film)


@pytest.fixture(scope="module")
def stored(study, orthanc):
    """The archive with the whole study."""
    orthanc.store([study.film, study.prior, *(made.ds for made in study.objects)])
    return orthanc


def test_tests_that_share_a_peer_run_in_one_process(request):
    if hasattr(request.config, "workerinput"):  # under pytest-xdist, which shows it in the name
        assert request.node.nodeid.endswith("@viewer")


def test_the_study_has_every_kind_of_object(study):
    assert {made.kind for made in study.objects} == {kind.name for kind in KINDS}


def test_what_is_read_back_is_what_was_sent(study, stored):
    for made in study.objects:
        back = stored.read_back(made.ds)
        assert back == read_back(made.ds), made.kind
        assert back.file_meta.TransferSyntaxUID == made.ds.file_meta.TransferSyntaxUID


def test_the_results_stand_behind_the_film_in_one_study(study, stored):
    answer = stored.http.get(f"/dicom-web/studies/{study.film.StudyInstanceUID}/series").json()
    numbers = sorted(item["00200011"]["Value"][0] for item in answer)
    assert numbers[0] == study.film.SeriesNumber
    assert numbers[1:] == [9001, 9002, 9003, 9004, 9005, 9006, 9007, 9008]


@pytest.mark.parametrize("kind", CAPTURES)
def test_a_picture_is_shown_as_the_golden_one(kind, study, stored):
    shown = as_golden(stored.rendered(study.made(kind)))
    assert difference(shown, load_golden(kind)) < TOLERANCE, (
        f"{golden_path(kind)} shows something else. If it should: python tests/support/golden.py"
    )


@pytest.mark.parametrize("kind", CAPTURES)
def test_a_picture_with_another_map_or_polarity_would_be_seen(kind):
    golden = load_golden(kind)
    pixels = np.asarray(golden)
    rows, columns = pixels.shape[:2]
    film = (slice(rows // 5, rows * 4 // 5), slice(columns // 10, columns // 2))
    inverted, moved = pixels.copy(), pixels.copy()
    inverted[film] = 255 - inverted[film]
    moved[film] = np.roll(moved[film], columns // 20, axis=1)
    for other in (inverted, moved):
        assert difference(Image.fromarray(other), golden) > 2 * TOLERANCE


def test_the_archive_shows_what_hilum_drew(study, stored):
    """Pixel for pixel: nothing is compressed, nothing converted."""
    for made in study.objects:
        if made.kind in CAPTURES:
            shown = np.asarray(stored.rendered(made.ds))
            assert (shown == read_back(made.ds).pixel_array).all(), made.kind
