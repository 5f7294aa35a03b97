"""DCMTK shows the film through our presentation state: with our greys, the right way up."""

import numpy as np
import pytest
from answers import NO_PICTURES, PIXELS, answers, lut, sent
from films import overlaid
from pydicom import dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    SecondaryCaptureImageStorage,
)
from validators import complaints, dcm2pnm, dcmp2pgm, dcmp2pgm_state

from inference.image.film import read_film
from scp.results.objects import to_bytes

CR, DX = ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation
ONLY_OUTLINES = NO_PICTURES | {"report": False, "segmentation": False, "label_map": False}
TOLERANCE = 1.5 / 255  # DCMTK shows 256 greys


def state_of(path):
    (made,) = answers(dcmread(path), **ONLY_OUTLINES)
    assert made.kind == "presentation-state"
    return made.ds


def shown(path, state, folder):
    """Return the film as DCMTK shows it through a presentation state, from 0 to 1."""
    (folder / "state.dcm").write_bytes(to_bytes(state))
    return dcmp2pgm(path, folder / "state.dcm", folder) / 255


def check_chest(picture):
    """Lungs are dark, the mediastinum between them and the heart are bright."""
    rows, columns = picture.shape

    def grey(x, y):
        left, top = round(x * columns), round(y * rows)
        return picture[top - 5 : top + 5, left - 5 : left + 5].mean()

    lungs = [grey(x, y) for x in (0.28, 0.72) for y in (0.35, 0.5)]
    dense = [grey(0.5, 0.3), grey(0.56, 0.63), grey(0.5, 0.9)]
    assert max(lungs) + 0.15 < min(dense)


NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
NARROW = {"WindowCenter": "2200", "WindowWidth": "2800"}
FILMS = {
    "as-it-is": {},
    "cr": {"sop_class": CR},
    "cr-with-window": {"sop_class": CR, "WindowCenter": "2048", "WindowWidth": "4096"},
    "sc": {"sop_class": SecondaryCaptureImageStorage},
    "no-window": NO_WINDOW,
    "narrow-window": NARROW,
    "window-of-fractions": {"WindowCenter": "2047.25", "WindowWidth": "3999.5"},
    "two-windows": {"WindowCenter": ["2048", "100"], "WindowWidth": ["4096", "50"]},
    "useless-window": {"WindowCenter": "40", "WindowWidth": "80"},
    "exact-window": NARROW | {"VOILUTFunction": "LINEAR_EXACT"},
    "8-bits": {"bits_stored": 8},
    "8-bits-no-window": {"bits_stored": 8, **NO_WINDOW},
    "16-bits": {"bits_stored": 16},
    "signed": {"signed": True},
    "signed-16-bits-no-window": {"signed": True, "bits_stored": 16, **NO_WINDOW},
    "rescaled": {
        **{"RescaleSlope": "2", "RescaleIntercept": "-1000", "RescaleType": "US"},
        **{"WindowCenter": "3096", "WindowWidth": "8192"},
    },
    "rescaled-no-window": {"RescaleSlope": "0.25", "RescaleIntercept": "10", **NO_WINDOW},
    "rescaled-downwards": {
        **{"pixels": 1 - PIXELS, "RescaleSlope": "-1", "RescaleIntercept": "4095"},
        **NO_WINDOW,
    },
    "voi-lut": {"VOILUTSequence": [lut(4096, 0)], **NO_WINDOW},
    "signed-voi-lut": {"signed": True, "VOILUTSequence": [lut(4096, -2048)], **NO_WINDOW},
    "modality-lut": {
        "ModalityLUTSequence": [lut(4096, 0, "OD", power=0.5)],
        **{"RescaleSlope": None, "RescaleIntercept": None, "RescaleType": None, **NO_WINDOW},
    },
    "big-endian": {"transfer_syntax": ExplicitVRBigEndian},
}


@pytest.fixture
def film_file(tmp_path):
    """Write a film as it comes from the wire."""

    def write(**film):
        path = tmp_path / "film.dcm"
        path.write_bytes(sent(**film))
        return path

    return write


def ours(path):
    return read_film(dcmread(path)).pixels


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("film", FILMS)
def test_a_viewer_shows_the_greys_of_our_pictures(film, photometric, film_file, tmp_path):
    path = film_file(photometric=photometric, **FILMS[film])
    picture = shown(path, state_of(path), tmp_path)
    check_chest(picture)
    assert np.abs(picture - ours(path)).max() < TOLERANCE


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_viewer_that_knows_no_sigmoid_shows_the_film_the_right_way_up(
    photometric, film_file, tmp_path
):
    path = film_file(photometric=photometric, VOILUTFunction="SIGMOID", **NARROW)
    picture = shown(path, state_of(path), tmp_path)
    check_chest(picture)
    # DCMTK takes every window for a linear one: it is at most this far from the sigmoid
    assert np.abs(picture - ours(path)).max() < 0.12


@pytest.mark.parametrize("name", ["RG1_UNCR", "RG3_UNCR", "RG1_UNCI", "vlut_04", "mlut_18"])
def test_a_viewer_shows_the_greys_of_our_pictures_of_real_films(name, philips_film, tmp_path):
    path = philips_film.with_name(f"{name}.dcm")
    picture = shown(path, state_of(path), tmp_path)
    assert np.abs(picture - ours(path)).max() < TOLERANCE


def test_a_state_of_the_wrong_polarity_or_window_would_be_seen(film_file, tmp_path):
    path = film_file(photometric="MONOCHROME1", **NARROW)
    state = state_of(path)
    assert np.abs(shown(path, state, tmp_path) - ours(path)).max() < TOLERANCE
    state.PresentationLUTShape = "IDENTITY"
    inverted = shown(path, state, tmp_path)
    with pytest.raises(AssertionError):
        check_chest(inverted)
    state.PresentationLUTShape = "INVERSE"
    state.SoftcopyVOILUTSequence[0].WindowWidth = "2600"
    assert np.abs(shown(path, state, tmp_path) - ours(path)).max() > TOLERANCE


def reread(path, state, folder):
    """Return a presentation state as DCMTK has understood it, written anew by it."""
    (folder / "state.dcm").write_bytes(to_bytes(state))
    return dcmp2pgm_state(path, folder / "state.dcm", folder)


RECTANGLE = {
    "ShutterLeftVerticalEdge": 21,
    "ShutterRightVerticalEdge": 180,
    "ShutterUpperHorizontalEdge": 11,
    "ShutterLowerHorizontalEdge": 230,
}
CIRCLE = {"CenterOfCircularShutter": [125, 100], "RadiusOfCircularShutter": 110}
TRIANGLE = {"VerticesOfThePolygonalShutter": [1, 100, 250, 200, 250, 1]}


@pytest.mark.parametrize(
    ("shape", "elements"),
    [
        ("RECTANGULAR", RECTANGLE),
        ("CIRCULAR", CIRCLE),
        ("POLYGONAL", TRIANGLE),
        (["RECTANGULAR", "CIRCULAR"], RECTANGLE | CIRCLE),
    ],
)
def test_a_viewer_is_told_of_the_shutter_of_the_film(shape, elements, film_file, tmp_path):
    path = film_file(ShutterShape=shape, ShutterPresentationValue=0, **elements)
    state = state_of(path)
    assert complaints(state, tmp_path) == []
    understood = reread(path, state, tmp_path)
    assert understood.ShutterShape == shape
    assert understood.ShutterPresentationValue == 0
    for keyword, value in elements.items():
        assert understood[keyword].value == value


def test_a_viewer_is_told_nothing_of_a_shutter_that_is_not_applied(film_file, tmp_path):
    path = film_file(ShutterShape="RECTANGULAR", **RECTANGLE | {"ShutterRightVerticalEdge": 22})
    assert "ShutterShape" not in reread(path, state_of(path), tmp_path)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_viewer_covers_what_a_bitmap_shutter_covers(photometric, film_file, tmp_path):
    covered = np.zeros((250, 200), bool)
    covered[:, 170:] = True
    path = film_file(photometric=photometric, ShutterShape="BITMAP", ShutterOverlayGroup=0x6000)
    ds = overlaid(dcmread(path), covered, 0x6000)
    ds.save_as(path)
    state = state_of(path)
    assert complaints(state, tmp_path) == []
    picture = shown(path, state, tmp_path)
    assert not picture[covered].any()
    assert np.abs(picture - ours(path)).max() < TOLERANCE


def test_a_viewer_is_told_to_draw_the_overlays_of_the_film(film_file, tmp_path):
    """`dcmp2pgm` draws none, but keeps those that it knows of; `dcm2pnm` draws a film's own."""
    marker = np.zeros((30, 20), bool)
    marker[:, :4] = marker[26:] = True  # an L
    path = film_file()
    ds = overlaid(dcmread(path), marker, 0x6000, origin=(11, 161))
    ds.save_as(path)
    state = state_of(path)
    assert complaints(state, tmp_path) == []
    understood = reread(path, state, tmp_path)
    assert understood[0x6000, 0x1001].value == "FILM_OVERLAYS"
    layers = {item.GraphicLayer for item in understood.GraphicLayerSequence}
    assert layers == {"AI_FINDINGS", "FILM_OVERLAYS"}
    with_marker, bare = (dcm2pnm(path, tmp_path, overlays) for overlays in ("0", None))
    drawn = read_film(ds).presentation.graphics
    assert (with_marker[drawn] == 255).all()
    assert (with_marker[~drawn] == bare[~drawn]).all()


@pytest.mark.parametrize(
    ("elements", "ratio"),
    [
        ({}, [1, 1]),
        ({"PixelSpacing": ["0.2", "0.4"], "ImagerPixelSpacing": ["0.2", "0.4"]}, [1, 2]),
        ({"PixelAspectRatio": ["2", "3"], "ImagerPixelSpacing": None}, [2, 3]),
        ({"ImagerPixelSpacing": ["0.143", "0.1"]}, [143, 100]),
    ],
)
def test_a_viewer_is_told_the_proportions_of_a_pixel(elements, ratio, film_file, tmp_path):
    path = film_file(**elements)
    (area,) = reread(path, state_of(path), tmp_path).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == ratio


def test_nothing_behind_the_shutter_is_outlined(film_file):
    path = film_file(ShutterShape="RECTANGULAR", **RECTANGLE | {"ShutterRightVerticalEdge": 150})
    (annotation,) = state_of(path).GraphicAnnotationSequence
    for graphic in annotation.GraphicObjectSequence:
        assert max(graphic.GraphicData[::2]) <= 151
