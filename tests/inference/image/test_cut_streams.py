"""Streams that end before their picture does, or say something else than their header."""

import io
from copy import deepcopy

import imagecodecs
import numpy as np
import pytest
from films import chest, make_film_ds
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from syntaxes import encoded

from inference.image.codestream import declared
from inference.image.film import NotAFilm, read_film


def restreamed(ds, change):
    """Put `change` of its stream in place of a film's stream."""
    stream = change(next(generate_frames(ds.PixelData, number_of_frames=1)))
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    return ds


CUT = {
    "40 %": lambda one: one[: len(one) * 2 // 5],
    "70 %": lambda one: one[: len(one) * 7 // 10],
    "99 %": lambda one: one[: len(one) * 99 // 100],
    "70 % and an end": lambda one: one[: len(one) * 7 // 10] + b"\xff\xd9",
    "99 % and an end": lambda one: one[: len(one) * 99 // 100] + b"\xff\xd9",
    "four bytes and an end": lambda one: one[: one.rindex(b"\xff\xd9") - 4] + b"\xff\xd9",
}
STREAMS = {
    JPEGBaseline8Bit: 8,
    JPEGExtended12Bit: 8,
    JPEGLosslessSV1: 12,
    JPEGLSLossless: 12,
    JPEG2000Lossless: 12,
    JPEG2000: 12,
    HTJ2KLossless: 12,
}


def named(one):
    return getattr(one, "keyword", str(one))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("at_least", [0, 64])
@pytest.mark.parametrize("how", CUT)
@pytest.mark.parametrize("syntax", STREAMS, ids=named)
def test_a_stream_that_ends_early_is_never_answered(syntax, how, at_least, tmp_path):
    ds = dcmread(encoded(tmp_path, syntax, bits_stored=STREAMS[syntax]))
    with pytest.raises(NotAFilm, match=r"cut short|damaged"):
        read_film(restreamed(ds, CUT[how]), at_least=at_least)


def test_a_jpeg_ls_stream_without_its_end_is_refused_before_it_is_decoded(tmp_path):
    stream = next(generate_frames(dcmread(encoded(tmp_path, JPEGLSLossless)).PixelData))
    assert not declared(stream, JPEGLSLossless).lack
    assert not declared(stream + bytes(99), JPEGLSLossless).lack
    assert "no end" in declared(stream[: stream.rindex(b"\xff\xd9")], JPEGLSLossless).lack


@pytest.mark.parametrize("more", [b"", b"\0", b"\0\0", bytes(9)], ids=len)
@pytest.mark.parametrize("syntax", STREAMS, ids=named)
def test_padding_after_a_whole_stream_does_not_matter(syntax, more, tmp_path):
    path = encoded(tmp_path, syntax, bits_stored=STREAMS[syntax])
    padded = restreamed(dcmread(path), lambda one: one.rstrip(b"\0") + more)
    assert np.array_equal(read_film(padded).pixels, read_film(dcmread(path)).pixels)


@pytest.mark.parametrize(
    "layout", [{}, {"tile": (128, 128)}, {"tlm": True}, {"resolutions": 2}], ids=str
)
def test_a_high_throughput_stream_is_whole_only_with_all_its_tiles(layout):
    def film(change):
        made = imagecodecs.htj2k_encode(plain.pixel_array, reversible=True, **layout)
        ds = make_film_ds()
        ds.file_meta.TransferSyntaxUID = HTJ2KLossless
        ds.PixelData = encapsulate([change(made)])
        ds["PixelData"].is_undefined_length = True
        return read_film(ds).pixels

    plain = make_film_ds()
    assert np.array_equal(film(lambda one: one), read_film(plain).pixels)
    for part in ("40 %", "70 %", "99 % and an end"):
        with pytest.raises(NotAFilm, match=r"cut short"):
            film(CUT[part])
    with pytest.raises(NotAFilm, match=r"cut short: it has . of . tiles|cut short by . byte"):
        film(
            lambda one: (
                one[: one.rindex(b"\xff\x90")] + b"\xff\xd9" if "tile" in layout else one[:-2]
            )
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless], ids=named)
def test_a_tile_part_to_the_end_is_checked_by_decoding_it(syntax, tmp_path):
    def open_ended(stream):
        at = stream.index(b"\xff\x90") + 6
        return stream[:at] + bytes(4) + stream[at + 4 :]

    path = encoded(tmp_path, syntax)
    whole = restreamed(dcmread(path), open_ended)
    assert np.array_equal(read_film(whole).pixels, read_film(make_film_ds()).pixels)
    for part in ("40 %", "70 % and an end", "99 % and an end"):
        with pytest.raises(NotAFilm, match=r"cut short|damaged"):
            read_film(restreamed(dcmread(path), lambda one, p=part: CUT[p](open_ended(one))))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, JPEG2000], ids=named)
def test_a_stream_of_more_bits_than_the_header_stores_is_a_contradiction(syntax, tmp_path):
    ds = dcmread(encoded(tmp_path, syntax))
    ds.BitsStored, ds.HighBit = 10, 9
    with pytest.raises(NotAFilm, match="has 12 bits a sample, the header says 10"):
        read_film(ds)


def film_of(syntax, stream, **header):
    ds = make_film_ds(**header)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    return ds


def jpeg_of(bands):
    made = io.BytesIO()
    picture = np.repeat(np.rint(chest() * 255).astype(np.uint8)[..., None], bands, axis=2)
    Image.fromarray(picture.squeeze()).save(made, "JPEG")
    return made.getvalue()


def test_what_header_and_stream_say_differently_is_the_reason(tmp_path):
    def bare(ds):
        ds["PixelData"].value = ds.PixelData[12:]
        return ds

    def native(ds):
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return ds

    rle = dcmread(encoded(tmp_path, RLELossless))
    lossless = dcmread(encoded(tmp_path, JPEG2000Lossless))
    stream = next(generate_frames(lossless.PixelData, number_of_frames=1))
    for ds, reason in (
        (restreamed(deepcopy(rle), CUT["70 %"]), "damaged or cut short"),
        (native(deepcopy(rle)), "are encapsulated; Explicit VR Little Endian is not"),
        (film_of(JPEGBaseline8Bit, jpeg_of(1)), "has 8 bits a sample, the header allots 16"),
        (
            film_of(JPEGBaseline8Bit, jpeg_of(3), bits_stored=8),
            "has 3 samples a pixel, the header says 1",
        ),
        (film_of(JPEGLSLossless, stream), "is JPEG 2000, the transfer syntax says JPEG-LS"),
        (make_film_ds(SamplesPerPixel=0), "Samples per Pixel is neither 1 nor 3"),
        (make_film_ds(PixelRepresentation=2), "Pixel Representation is neither 0 nor 1"),
        (bare(deepcopy(lossless)), "have no item for the Basic Offset Table"),
    ):
        with pytest.raises(NotAFilm, match=reason):
            read_film(ds)


def test_a_jpeg_that_ends_with_any_of_its_restart_intervals_is_cut_short():
    made = io.BytesIO()
    grain = np.random.default_rng(1).integers(0, 255, (256, 224), np.uint8)
    Image.fromarray(grain).save(made, "JPEG", restart_marker_blocks=7)
    stream = made.getvalue()
    read_film(film_of(JPEGBaseline8Bit, stream, bits_stored=8))
    for n in range(8):
        at = stream.rindex(bytes((0xFF, 0xD0 + n)))
        for end in (at - 1, at, at + 1, at + 2, at + 9):
            with pytest.raises(NotAFilm, match="cut short"):
                read_film(film_of(JPEGBaseline8Bit, stream[:end] + b"\xff\xd9", bits_stored=8))
