"""Films that are decoded at a part of their size, where they are only compared."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from bench import open_bench
from films import chest, make_film_ds
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from sqlalchemy.orm import Session
from syntaxes import encoded

from inference.comparison.alignment import COMPARED_PX, at_working_size
from inference.comparison.compare import compare
from inference.image.codestream import declared
from inference.image.film import NotAFilm, read_film
from inference.image.gate import check_pixels
from inference.image.gate_settings import GateSettings
from inference.image.grayscale import Window
from inference.model.bundle import load_bundle
from inference.model.engine import Engine
from inference.model.metadata import bundle_folder
from scp.index import films, outputs

J2K = {"transfer_syntax": JPEG2000Lossless}


def at_both(ds, at_least=128):
    return read_film(ds), read_film(ds, at_least=at_least)


def unlike(one, other):
    """The mean difference of two films at the size at which they are compared."""
    maps = (at_working_size(film.pixels, film.proportions) for film in (one, other))
    return float(np.abs(np.subtract(*maps)).mean())


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEG2000])
def test_a_film_is_the_same_at_a_part_of_its_size(syntax, bits, photometric, tmp_path):
    path = encoded(
        tmp_path, syntax, rows=512, columns=448, bits_stored=bits, photometric=photometric
    )
    whole, part = at_both(dcmread(path))
    assert whole.stored_shape is None
    assert part.pixels.shape == (128, 112)
    assert part.shape == whole.shape == part.stored_shape == (512, 448)
    assert (part.proportions, part.spacing_mm) == (whole.proportions, whole.spacing_mm)
    assert (part.view, part.voi) == (whole.view, whole.voi)
    assert unlike(whole, part) < 0.01


def high_throughput(ds, syntax):
    """Encode a film of 12 bits as HTJ2K that says so: by itself the encoder says 16.

    Samples are coded less half their range (T.800 G.1), so they are raised by what the two halves
    differ before the stream is told to have 12.
    """
    raised = ds.pixel_array + np.uint16(2**15 - 2**11)
    stream = bytearray(imagecodecs.htj2k_encode(raised, reversible=True))
    assert stream[42] == 15  # Ssiz: bits less one
    stream[42] = 11
    ds.PixelData = encapsulate([bytes(stream)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
def test_a_high_throughput_film_is_the_same_at_a_part_of_its_size(syntax, photometric):
    picture = chest(512, 448)
    picture[:60], picture[60:120] = 0, 1  # beyond such an edge lies what wraps round
    plain = make_film_ds(picture, photometric=photometric)
    expected = read_film(plain)
    whole, part = at_both(high_throughput(plain, syntax))
    assert np.array_equal(whole.pixels, expected.pixels)
    assert part.pixels.shape == (128, 112)
    assert unlike(whole, part) < 0.02
    assert part.pixels[:13].max() < 0.1
    assert part.pixels[17:28].min() > 0.9


def test_a_high_throughput_stream_of_more_bits_than_the_header_says_is_decoded_whole(tmp_path):
    _, part = at_both(dcmread(encoded(tmp_path, HTJ2KLossless, rows=512, columns=448)))
    assert part.stored_shape is None


@pytest.mark.parametrize(
    ("rows", "columns", "at_least", "shape"),
    [
        (512, 448, 512, (512, 448)),  # one more and it were too small
        (512, 448, 256, (256, 224)),
        (512, 448, 257, (512, 448)),
        (511, 447, 200, (256, 224)),
        (513, 450, 100, (257, 225)),  # a quarter of it Pillow would take for another size
        (2048, 64, 64, (64, 2)),  # not smaller than five times halved
    ],
)
def test_how_far_a_film_is_halved_follows_from_its_size(rows, columns, at_least, shape):
    _, part = at_both(make_film_ds(rows=rows, columns=columns, **J2K), at_least)
    assert part.pixels.shape == shape


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_what_holds_no_smaller_picture_is_decoded_whole(syntax):
    whole, part = at_both(make_film_ds(transfer_syntax=syntax))
    assert part.stored_shape is None
    assert np.array_equal(whole.pixels, part.pixels)


@pytest.mark.parametrize(
    "film",
    [
        {"signed": True},
        {"PixelPaddingValue": 0},
        {"bits_stored": 10, "overlaid": True},
    ],
    ids=["signed", "padded", "overlay bits"],
)
def test_where_halving_would_change_what_values_mean_the_film_is_decoded_whole(film):
    film = dict(film)
    overlaid = film.pop("overlaid", False)
    ds = make_film_ds(rows=512, columns=448, **film)
    if overlaid:
        words = np.frombuffer(ds.PixelData, np.uint16).reshape(512, 448) | 0x8000
        ds.PixelData = words.tobytes()
        ds.BitsStored, ds.HighBit = 16, 15
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    if overlaid:
        ds.BitsStored, ds.HighBit = 10, 9
    whole, part = at_both(ds)
    assert part.stored_shape is None
    assert np.array_equal(whole.pixels, part.pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_high_throughput_values_that_could_wrap_round_are_decoded_whole(bits, tmp_path):
    _, part = at_both(dcmread(encoded(tmp_path, HTJ2KLossless, rows=512, bits_stored=bits)))
    assert part.stored_shape is None


def test_a_lossy_high_throughput_film_is_decoded_whole():
    ds = make_film_ds(rows=512, columns=448)
    ds.PixelData = encapsulate([imagecodecs.htj2k_encode(ds.pixel_array, reversible=False)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = HTJ2K
    whole, part = at_both(ds)
    assert np.array_equal(whole.pixels, part.pixels)


def test_a_codestream_says_how_often_it_was_halved_and_whether_it_is_signed():
    for signed in (False, True):
        ds = make_film_ds(signed=signed, **J2K)
        stream = declared(next(generate_frames(ds.PixelData, number_of_frames=1)), JPEG2000Lossless)
        assert (stream.levels, stream.signed) == (5, signed)


def test_a_damaged_stream_is_refused_with_the_same_reason_at_any_size():
    ds = make_film_ds(rows=512, columns=448, **J2K)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([frame[:120] + bytes(len(frame) // 2)])
    reasons = set()
    for at_least in (0, 128):
        try:
            read_film(ds, at_least=at_least)
            reasons.add("read")
        except NotAFilm as error:
            reasons.add(str(error))
    assert len(reasons) == 1
    assert reasons != {"read"}


def test_a_shutter_hides_the_same_and_overlays_keep_their_size():
    shutter = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 41,
        "ShutterRightVerticalEdge": 400,
        "ShutterUpperHorizontalEdge": 81,
        "ShutterLowerHorizontalEdge": 480,
    }
    ds = make_film_ds(rows=512, columns=448, **J2K, **shutter)
    whole, part = at_both(ds)
    occluded = part.presentation.occluded
    assert occluded.shape == part.pixels.shape
    assert not part.pixels[occluded].any()
    assert abs(occluded.mean() - whole.presentation.occluded.mean()) < 0.01
    assert part.presentation.shutter.elements == whole.presentation.shutter.elements
    assert check_pixels(part, GateSettings()) == check_pixels(whole, GateSettings())


def test_a_small_film_is_too_small_by_the_size_at_which_it_is_stored():
    whole, part = at_both(make_film_ds(rows=256, columns=224, **J2K), 64)
    assert part.pixels.shape == (64, 56)
    assert check_pixels(whole, GateSettings()) is check_pixels(part, GateSettings()) is None


@pytest.fixture(scope="module")
def shipped():
    bundle = load_bundle(bundle_folder())
    with Engine(bundle, "cpu") as engine:
        yield bundle, engine


@pytest.mark.parametrize("name", ["RG1_J2KR", "RG1_J2KI", "invented"])
def test_real_and_invented_films_are_judged_and_compared_alike_at_a_part_of_their_size(
    name, shipped, philips_film
):
    bundle, engine = shipped
    if name == "invented":
        ds = make_film_ds(rows=1600, columns=1400, **J2K)
    else:
        ds = dcmread(philips_film.with_name(f"{name}.dcm"))
    whole, part = at_both(ds, COMPARED_PX)
    assert part.stored_shape == whole.pixels.shape
    assert part.pixels.shape[0] == -(-whole.pixels.shape[0] // 2)
    assert unlike(whole, part) < 0.004
    said, of_part = engine.read(whole), engine.read(part)
    assert np.abs(said.probabilities - of_part.probabilities).max() < 0.01
    assert check_pixels(whole, GateSettings()) == check_pixels(part, GateSettings())
    check, lungs = bundle.input_check(), bundle.lung_fields()
    looks = [check.look(film) for film in (whole, part)]
    assert looks[0].look is looks[1].look
    moved = replace(whole, pixels=np.roll(whole.pixels, (9, -14), (0, 1)))
    known = [compare(moved, prior, said, said, lungs=lungs) for prior in (whole, part)]
    assert known[0].comparable
    assert known[1].comparable
    assert abs(known[0].quality - known[1].quality) < 0.01
    assert np.abs(known[0].structural - known[1].structural).mean() < 0.01
    assert known[0].current.shape == known[1].current.shape
    assert [c.change for c in known[0].changes] == [c.change for c in known[1].changes]


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path, tiny_bundle) as bench:
        yield bench


def pair():
    both = ((1600, "20230101", 1), (1540, "20240101", 2))
    return [make_film_ds(rows=n, columns=n, study_date=d, seed=s, **J2K) for n, d, s in both]


def kept(bench, uid):
    """What the index keeps of what the network said of a film."""
    with Session(bench.stores.engine) as session:
        instance = films.film(session, uid)
        model = bench.answerer.reader.engine.bundle.identity
        return outputs.analysis(session, instance, model).log_odds


@pytest.mark.parametrize("read_first", [True, False])
def test_what_is_kept_of_a_prior_is_said_of_the_whole_film_whatever_opened_it(bench, read_first):
    prior, current = (bench.take(ds) for ds in pair())
    if read_first:
        bench.answerer.read(prior)
    assert bench.answer(current).prior.uid == prior
    opened = bench.answerer.analyser.compared(prior).read.opened.film
    assert opened.pixels.shape == (800, 800)
    assert opened.voi == Window(2048, 4096)
    whole = bench.answerer.reader.engine.output(read_film(pair()[0]))
    assert kept(bench, prior) == pytest.approx(whole.log_odds.tolist(), abs=1e-5)
    bench.answer(prior)  # as a film of its own it is drawn from all of it
    assert bench.answerer.analyser.analysed(prior).read.opened.film.stored_shape is None


def test_a_comparison_is_the_same_whether_or_not_the_prior_was_in_memory(bench):
    prior, current = (bench.take(ds) for ds in pair())
    bench.answer(prior)
    bench.answer(current)
    before = bench.files()
    bench.answerer.reader._opened.clear()
    bench.answer(current)
    assert bench.files() == before
