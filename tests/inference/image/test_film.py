import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from films import chest, lut_item, make_film_ds
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import require_peer
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from inference.image.decoding import MAXIMUM_PIXELS
from inference.image.film import (
    NotAFilm,
    View,
    film_from_picture,
    film_from_pixels,
    read_film,
)
from inference.image.grayscale import Window, window

LOSSLESS = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
]
STEP_8_BIT = 1.5 / 255


def received(ds, folder: Path) -> Dataset:
    """Return the object as a receiver reads it back from a file."""
    path = folder / "film.dcm"
    ds.save_as(path, enforce_file_format=True)
    return dcmread(path)


def worst(film, picture) -> float:
    return float(np.abs(film.pixels - picture).max())


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_lossless_transfer_syntax_gives_the_same_film(syntax, bits, tmp_path):
    ds = make_film_ds(bits_stored=bits, transfer_syntax=syntax)
    film = read_film(received(ds, tmp_path))
    plain = read_film(make_film_ds(bits_stored=bits))
    assert film.pixels.dtype == np.float32
    assert np.array_equal(film.pixels, plain.pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_sign_and_polarity_do_not_change_the_film(photometric, bits, signed):
    picture = chest(64, 56)
    ds = make_film_ds(picture, photometric=photometric, bits_stored=bits, signed=signed)
    assert worst(read_film(ds), picture) < 1.5 / (2**bits - 1)


def test_presentation_lut_shape_does_not_invert_a_second_time():
    with_shape = make_film_ds(photometric="MONOCHROME1", PresentationLUTShape="INVERSE")
    without = make_film_ds(photometric="MONOCHROME1", PresentationLUTShape=None)
    assert np.array_equal(read_film(with_shape).pixels, read_film(without).pixels)
    assert worst(read_film(with_shape), chest()) < STEP_8_BIT


def encapsulated(ds, codestream: bytes, syntax):
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([codestream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def jpeg(picture, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8)).convert(mode)
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_jpeg_baseline_is_decoded(tmp_path):
    ds = encapsulated(make_film_ds(bits_stored=8), jpeg(chest()), JPEGBaseline8Bit)
    assert worst(read_film(received(ds, tmp_path)), chest()) < 0.05


@pytest.mark.parametrize("name", ["RG1_UNCR", "RG3_UNCR", "vlut_04", "mlut_18"])
def test_real_greys_are_those_of_an_independent_implementation(name, philips_film):
    ds = dcmread(philips_film.with_name(f"{name}.dcm"))
    theirs = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(np.float64)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        theirs = -theirs
    ours = read_film(ds).pixels
    # one scale and one offset between the two: the range pydicom maps windows to is its own
    fit = np.polyfit(theirs.ravel(), ours.ravel(), 1)
    assert fit[0] > 0
    assert np.abs(np.polyval(fit, theirs) - ours).max() < 2e-3


@pytest.mark.parametrize("option", ["+e1", "+el"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_lossless_from_dcmtk_is_decoded_exactly(option, bits, tmp_path):
    program = require_peer("dcmcjpeg")
    make_film_ds(bits_stored=bits).save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    command = [program, option, str(tmp_path / "plain.dcm"), str(tmp_path / "jpeg.dcm")]
    subprocess.run(command, check=True, capture_output=True)
    film = read_film(dcmread(tmp_path / "jpeg.dcm"))
    assert np.array_equal(film.pixels, read_film(make_film_ds(bits_stored=bits)).pixels)


def test_12_bit_jpeg_extended_is_read_where_its_decoder_is_and_refused_elsewhere(tmp_path):
    program = require_peer("dcmcjpeg")
    make_film_ds().save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    command = [program, "+ee", str(tmp_path / "plain.dcm"), str(tmp_path / "jpeg.dcm")]
    subprocess.run(command, check=True, capture_output=True)
    ds = dcmread(tmp_path / "jpeg.dcm")
    try:
        import libjpeg  # noqa: F401
    except ImportError:
        with pytest.raises(NotAFilm, match="JPEG Extended"):
            read_film(ds)
    else:
        assert worst(read_film(ds), chest()) < 0.05


def test_every_philips_encoding_of_one_film_is_the_same_picture(philips_film):
    exact = read_film(dcmread(philips_film))
    for name in ("RG1_UNCI", "RG1_J2KR", "RG1_J2KI"):
        other = read_film(dcmread(philips_film.with_name(f"{name}.dcm")))
        assert np.abs(other.pixels - exact.pixels).max() < 0.05
        assert other.spacing_mm is None  # the header says 0\0
    assert exact.pixels.shape == (1955, 1841)
    # MONOCHROME1: the spine is bright, the lung is dark
    assert exact.pixels[900:1000, 880:960].mean() > exact.pixels[500:700, 450:550].mean() + 0.1


def test_a_grey_film_stored_as_colour_is_read_and_true_colour_is_not(tmp_path):
    options = {
        "sop_class": SecondaryCaptureImageStorage,
        "bits_stored": 8,
        "SamplesPerPixel": 3,
        "PlanarConfiguration": 0,
    }
    grey = np.rint(chest() * 255).astype(np.uint8)
    ds = make_film_ds(grey, photometric="RGB", **options)
    ds.PixelData = np.repeat(grey[..., None], 3, axis=-1).tobytes()
    assert worst(read_film(ds), chest()) < STEP_8_BIT
    ybr = make_film_ds(grey, photometric="YBR_FULL_422", **options)
    encapsulated(ybr, jpeg(chest(), "RGB"), JPEGBaseline8Bit)
    assert worst(read_film(received(ybr, tmp_path)), chest()) < 0.05
    ds.PixelData = np.stack([grey, 255 - grey, grey], axis=-1).tobytes()
    with pytest.raises(NotAFilm, match="colour"):
        read_film(ds)


def test_rescale_and_window_are_applied_in_this_order():
    stored = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    ds = make_film_ds(
        stored, RescaleSlope="2", RescaleIntercept="-1000", WindowCenter="3000", WindowWidth="4001"
    )
    expected = np.clip((2.0 * stored - 1000 - 2999.5) / 4000 + 0.5, 0, 1)
    assert np.abs(read_film(ds).pixels - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2: at the centre, at either end of the window, and beyond
        ("LINEAR", [0.0, 0.0, 128 / 255, 1.0]),
        ("LINEAR_EXACT", [0.0, 0.0, 0.5, 1.0]),
        ("SIGMOID", [1 / (1 + np.e**4), 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e ** (-2))]),
    ],
)
def test_windows_follow_the_formulas_of_the_standard(function, expected):
    values = np.array([-128.0, 0.0, 128.0, 256.0])
    assert np.allclose(window(values, Window(128, 256, function)), expected)


def test_a_window_of_width_one_is_a_threshold():
    assert window(np.array([9.0, 10.0]), Window(10, 1)).tolist() == [0, 1]


def test_a_voi_lut_is_preferred_to_the_window():
    curve = np.rint(np.linspace(0, 1, 4096) ** 2 * 65535)
    ds = make_film_ds(VOILUTSequence=[lut_item(curve, 0, 16)])
    assert worst(read_film(ds), chest() ** 2) < 1e-3


def test_a_voi_lut_in_words_is_read_in_both_byte_orders(tmp_path):
    curve = np.rint(np.linspace(0, 1, 4096) ** 2 * 65535)
    for syntax, order in ((ExplicitVRLittleEndian, "<u2"), (ExplicitVRBigEndian, ">u2")):
        item = lut_item([0], 0, 16)
        item.add_new("LUTDescriptor", "US", [4096, 0, 16])
        item.add_new("LUTData", "OW", curve.astype(order).tobytes())
        ds = make_film_ds(VOILUTSequence=[item], transfer_syntax=syntax)
        assert worst(read_film(received(ds, tmp_path)), chest() ** 2) < 1e-3


def test_a_modality_lut_is_applied_before_the_window():
    # a table that undoes an inversion
    item = lut_item(np.arange(4095, -1, -1), 0, 16)
    item.ModalityLUTType = "US"
    inverted = 4095 - np.rint(chest() * 4095).astype(np.uint16)
    ds = make_film_ds(
        inverted, ModalityLUTSequence=[item], RescaleSlope=None, RescaleIntercept=None
    )
    assert worst(read_film(ds), chest()) < 2 / 4095


@pytest.mark.parametrize(
    "broken",
    [
        {"WindowCenter": "60000", "WindowWidth": "10"},  # clips everything
        {"WindowCenter": "0", "WindowWidth": "4000000"},  # everything in one grey
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": ["60000", "2048"], "WindowWidth": ["10", "4096"]},
    ],
)
def test_without_a_plausible_window_the_film_fills_the_grey_scale(broken):
    film = read_film(make_film_ds(**broken))
    low, high = np.percentile(film.pixels, [1, 99])
    assert low < 0.1
    assert high > 0.9
    assert np.corrcoef(film.pixels.ravel(), chest().ravel())[0, 1] > 0.98


def test_collimated_edges_do_not_set_the_grey_scale():
    picture = np.full((300, 300), 4095, dtype=np.uint16)
    picture[40:260, 50:250] = 1000 + np.rint(chest(220, 200) * 500)
    ds = make_film_ds(picture, WindowCenter=None, WindowWidth=None)
    inside = read_film(ds).pixels[40:260, 50:250]
    assert np.percentile(inside, 1) < 0.1
    assert np.percentile(inside, 99) > 0.9


def test_padding_is_black_whatever_the_polarity():
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        picture = np.rint(chest() * 3000).astype(np.uint16) + 10
        picture[:, :20] = 5
        picture[:, -20:] = 4
        ds = make_film_ds(
            picture, photometric=photometric, PixelPaddingValue=5, PixelPaddingRangeLimit=4
        )
        film = read_film(ds)
        assert film.pixels[:, :20].max() == 0
        assert film.pixels[:, -20:].max() == 0
        assert film.pixels[:, 60:160].max() > 0.5


def test_unused_bits_do_not_reach_the_picture():
    overlay_in_bit_15 = np.rint(chest() * 4095).astype(np.uint16)
    overlay_in_bit_15[50:80, 50:80] |= 0x8000
    film = read_film(make_film_ds(overlay_in_bit_15))
    assert worst(film, chest()) < STEP_8_BIT


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"PixelData": b"\0\1"}, "cut short by 114686 of 114688 bytes"),
        ({"Rows": None}, "Rows"),
        ({"Rows": 65535, "Columns": 65535}, "larger than any film"),
        ({"BitsAllocated": 32}, "Bits Allocated"),
        ({"HighBit": 15}, "High Bit"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not grey"),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095}, "padding"),
    ],
)
def test_what_is_no_film_is_refused_with_a_reason(broken, reason):
    with pytest.raises(NotAFilm, match=reason):
        read_film(make_film_ds(**broken))


def test_no_claimed_size_is_beyond_the_limit():
    assert 4300 * 4300 < MAXIMUM_PIXELS < 2**31


@pytest.mark.parametrize("syntax", ["", "1.2.840.10008.1.2.4.100", "1.2.3"])
def test_an_absent_or_foreign_transfer_syntax_is_refused(syntax):
    ds = make_film_ds()
    ds.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(NotAFilm, match="transfer syntax"):
        read_film(ds)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's remarks on damaged streams
@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit]
)
def test_a_damaged_codestream_is_a_refusal_that_names_no_patient(syntax):
    if syntax == JPEGBaseline8Bit:
        ds = encapsulated(make_film_ds(bits_stored=8), jpeg(chest()), syntax)
    else:
        ds = make_film_ds(transfer_syntax=syntax)
    ds.PixelData = encapsulate([bytes(range(256)) * 2])
    with pytest.raises(NotAFilm) as refusal:
        read_film(ds)
    assert "Film" not in str(refusal.value)
    assert "TEST-1" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_panic_in_a_decoder_is_a_refusal_too():
    # two RLE segments whose offsets lead beyond the frame: Rust panics, which is no Exception
    ds = make_film_ds(rows=64, columns=64, transfer_syntax=RLELossless)
    frame = bytearray(next(generate_frames(ds.PixelData, number_of_frames=1)))
    frame[64:] = bytes([127]) * 40 + bytes(range(128)) * 400
    ds.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(NotAFilm, match="RLE"):
        read_film(ds)


def test_spacing_is_taken_at_the_detector_and_a_zero_is_none():
    assert read_film(make_film_ds()).spacing_mm == (0.2, 0.2)
    assert read_film(make_film_ds(ImagerPixelSpacing=["0", "0"])).spacing_mm is None
    other = make_film_ds(ImagerPixelSpacing=None, PixelSpacing=["0.17", "0.18"])
    assert read_film(other).spacing_mm == (0.17, 0.18)


def test_a_picture_becomes_a_film_at_its_full_scale():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.allclose(film_from_pixels(ramp).pixels, ramp / 255)
    assert film_from_pixels(ramp.astype(np.uint16) * 257).pixels.max() == 1
    with pytest.raises(NotAFilm):
        film_from_pixels(np.zeros((4, 4), dtype=np.float32))
    with pytest.raises(NotAFilm):
        film_from_pixels(np.zeros((4, 4, 3), dtype=np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_file_keeps_its_greys(bits, tmp_path):
    ramp = np.linspace(0, 2**bits - 1, 400).astype(f"u{bits // 8}").reshape(20, 20)
    Image.fromarray(ramp).save(tmp_path / "film.png")
    assert np.array_equal(
        film_from_picture(tmp_path / "film.png").pixels, film_from_pixels(ramp).pixels
    )


SPOILT = {
    "absent": (None, "No such file"),
    "empty": (b"", "no PNG or JPEG"),
    "text": (b"no film", "no PNG or JPEG"),
    "half": (slice(None, 200), "no PNG or JPEG"),
    "damaged": (slice(None, None, -1), "no PNG or JPEG"),
}


@pytest.mark.parametrize(("what", "says"), SPOILT.values(), ids=SPOILT)
def test_a_file_that_is_no_picture_is_no_film(what, says, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray((255 * chest()).astype(np.uint8)).save(path)
    if what is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[what] if isinstance(what, slice) else what)
    with pytest.raises(NotAFilm, match=says):
        film_from_picture(path)


def test_a_real_konica_film_is_right_way_up_in_grey(shared_data):
    ds = dcmread(shared_data / "dicom" / "konica_cr_monochrome1_jpeg_no_tags.dcm")
    film = read_film(ds)
    assert film.spacing_mm == (0.175, 0.175)
    assert film.pixels[1200:1300, 1000:1050].mean() > film.pixels[900:1100, 400:600].mean() + 0.2


def test_a_cr_film_needs_no_dx_elements():
    ds = make_film_ds(sop_class=ComputedRadiographyImageStorage)
    film = read_film(ds)
    assert film.view is View.PA
    assert np.corrcoef(film.pixels.ravel(), chest().ravel())[0, 1] > 0.98


@settings(max_examples=60, deadline=None)
@given(
    bits=st.sampled_from([8, 10, 12, 15, 16]),
    centre=st.floats(-1e6, 1e6, width=32),
    width=st.floats(-10, 1e6, width=32),
    function=st.sampled_from(["", "LINEAR", "LINEAR_EXACT", "SIGMOID", "ODD"]),
    slope=st.floats(-100, 100, width=32),
)
def test_odd_windows_still_give_a_film_in_0_to_1(bits, centre, width, function, slope):
    ds = make_film_ds(
        chest(32, 32),
        bits_stored=bits,
        WindowCenter=centre,
        WindowWidth=width,
        VOILUTFunction=function,
        RescaleSlope=slope,
    )
    pixels = read_film(ds).pixels
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1
