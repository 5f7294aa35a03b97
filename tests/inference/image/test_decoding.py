"""Pixel data as careless and damaged senders make them."""

import imagecodecs
import numpy as np
import pytest
from films import chest, coded, lut_item, make_film_ds
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from syntaxes import encoded

from inference.image.film import NotAFilm, read_film, read_greys
from inference.image.limitations import limitations_of
from inference.image.lossy import state_lossy

LOSSY = "stored with lossy compression"


def fragmented(ds, pieces: int, table: list[int] | None):
    """Cut the one frame into fragments, under a Basic Offset Table of these offsets."""
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    size = -(-len(frame) // pieces)
    size += size % 2
    fragments = [frame[at : at + size] for at in range(0, len(frame), size)]
    offsets = b"".join(offset.to_bytes(4, "little") for offset in table or [])
    made = b"\xfe\xff\x00\xe0" + len(offsets).to_bytes(4, "little") + offsets
    for fragment in fragments:
        made += b"\xfe\xff\x00\xe0" + len(fragment).to_bytes(4, "little") + fragment
    ds["PixelData"].value = made + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return ds


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize(
    ("pieces", "table"),
    [(1, [0]), (3, None), (3, [0]), (3, [0, 500, 1000]), (1, [0, 4000]), (2, [12]), (1, [77777])],
    ids=["right", "none", "one", "each", "too-many", "wrong", "beyond"],
)
def test_all_fragments_are_the_one_frame_whatever_the_table_says(syntax, pieces, table, tmp_path):
    ds = fragmented(dcmread(encoded(tmp_path, syntax)), pieces, table)
    assert np.array_equal(read_film(ds).pixels, read_film(make_film_ds()).pixels)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_what_stands_in_unused_bits_does_not_reach_the_picture(syntax, signed):
    clean = make_film_ds(signed=signed)
    dirty = clean.pixel_array.copy()
    dirty.view(np.uint16)[50:80, 50:80] |= 0x8000
    dirty.view(np.uint16)[90:99, 50:80] ^= 0x4000
    ds = make_film_ds(bits_stored=16, signed=signed)  # encoders refuse bits that are not stored
    ds.PixelData = dirty.tobytes()
    if syntax is not None:
        ds.compress(syntax, generate_instance_uid=False)
    ds.BitsStored, ds.HighBit = 12, 11
    for keyword in ("WindowCenter", "WindowWidth"):
        setattr(ds, keyword, clean[keyword].value)
    assert np.array_equal(read_film(ds).pixels, read_film(clean).pixels)


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_stream_of_a_real_htj2k_encoder_is_read(bits, reversible):
    plain = make_film_ds(bits_stored=bits)
    ds = make_film_ds(bits_stored=bits)
    stream = imagecodecs.htj2k_encode(plain.pixel_array, reversible=reversible)
    ds.file_meta.TransferSyntaxUID = HTJ2KLossless if reversible else HTJ2K
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    worst = np.abs(read_film(ds).pixels - read_film(plain).pixels).max()
    assert worst == 0 if reversible else worst < 0.05
    state_lossy(ds)
    assert (ds.LossyImageCompression == "01") is not reversible


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
def test_plain_jpeg_2000_under_the_name_of_htj2k_is_read_too(syntax, tmp_path):
    ds = dcmread(encoded(tmp_path, JPEG2000Lossless))
    ds.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(read_film(ds).pixels, read_film(make_film_ds()).pixels)


def test_another_spelling_of_a_photometric_interpretation_is_understood():
    plain = read_film(make_film_ds(photometric="MONOCHROME1"))
    for spelling in ("monochrome1", " MONOCHROME1", "Monochrome1 "):
        ds = make_film_ds(photometric="MONOCHROME1", PhotometricInterpretation=spelling)
        assert np.array_equal(read_film(ds).pixels, plain.pixels)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"SamplesPerPixel": None}, "SamplesPerPixel is missing"),
        ({"BitsStored": None}, "BitsStored is missing"),
        ({"BitsStored": 17, "HighBit": 16}, "Bits Stored 17.* does not fit"),
        ({"PixelRepresentation": None}, "PixelRepresentation is missing"),
        ({"PhotometricInterpretation": "MONOCHROME3"}, "'MONOCHROME3' is not grey, or unknown"),
        ({"PhotometricInterpretation": ""}, "Photometric Interpretation is missing"),
        ({"Rows": 258}, r"cut short by 896 of 115584 bytes: 258 x 224 pixels"),
    ],
)
def test_why_pixels_cannot_be_told_apart_is_said_in_words(broken, reason):
    with pytest.raises(NotAFilm, match=reason):
        read_film(make_film_ds(**broken))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax, tmp_path):
    ds = dcmread(encoded(tmp_path, syntax))
    ds.Rows = 255
    with pytest.raises(NotAFilm, match="has 256 x 224 pixels, the header says 255 x 224"):
        read_film(ds)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_stream_that_is_cut_short_says_so(tmp_path):
    ds = dcmread(encoded(tmp_path, JPEGLSLossless))
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(NotAFilm, match="cut short: it has no end"):
        read_film(ds)
    ds["PixelData"].value = ds.PixelData[:-200]
    with pytest.raises(NotAFilm, match="cut short"):
        read_film(ds)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_a_stream_whose_markers_cannot_be_read_reaches_no_decoder(syntax, tmp_path):
    """gdcm would end the process, and with it the batch, the page or the worker."""
    ds = dcmread(encoded(tmp_path, syntax))
    frame = bytearray(next(generate_frames(ds.PixelData, number_of_frames=1)))
    for marker in (b"\xff\xc4", b"\xff\xda", b"\xff\x52"):  # tables, scan, coding style
        frame = frame.replace(marker, b"\xff\x01", 1)
    ds.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(NotAFilm, match="no readable header"):
        read_film(ds)


@pytest.mark.parametrize("version", [b"\x00\x00", b"\x01\x00", b"\xff\x01"])
def test_remarks_in_a_lossless_jpeg_stream_do_not_matter(version, tmp_path):
    ds = dcmread(encoded(tmp_path, JPEGLosslessSV1))
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    jfif = b"\xff\xe0\x00\x10JFIF\0" + version + bytes(7)
    ds.PixelData = encapsulate([frame[:2] + jfif + b"\xff\xfe\x00\x05abc" + frame[2:]])
    assert np.array_equal(read_film(ds).pixels, read_film(make_film_ds()).pixels)


def test_a_missing_decoder_is_named_with_what_brings_it(tmp_path):
    ds = dcmread(encoded(tmp_path, JPEGExtended12Bit))
    with pytest.raises(NotAFilm, match=r"12 bits a sample need a decoder .*extra jpeg-extended"):
        read_film(ds)


def lossy_by(ds) -> bool:
    state_lossy(ds)
    return LOSSY in limitations_of(ds)


@pytest.mark.parametrize(
    ("syntax", "lossy"),
    [
        (JPEGBaseline8Bit, True),
        (JPEGExtended12Bit, True),
        (JPEGLSNearLossless, True),
        (JPEG2000, True),
        (JPEGLosslessSV1, False),
        (JPEGLSLossless, False),
        (JPEG2000Lossless, False),
        (RLELossless, False),
    ],
    ids=lambda one: getattr(one, "keyword", str(one)),
)
def test_loss_is_told_by_the_coding_where_the_header_is_silent(syntax, lossy, tmp_path):
    ds = dcmread(encoded(tmp_path, syntax, bits_stored=8 if syntax == JPEGBaseline8Bit else 12))
    for keyword in ("LossyImageCompression", "LossyImageCompressionMethod"):
        ds.pop(keyword, None)
    ds.pop("LossyImageCompressionRatio", None)
    assert lossy_by(ds) is lossy
    if lossy:
        assert ds.LossyImageCompression == "01"
        assert ds.LossyImageCompressionMethod.startswith("ISO_1")
        assert float(ds.LossyImageCompressionRatio) > 1


def test_a_reversible_stream_under_the_lossy_syntax_is_not_called_lossy(tmp_path):
    for syntax, lossy in ((JPEG2000Lossless, JPEG2000), (JPEGLSLossless, JPEGLSNearLossless)):
        ds = dcmread(encoded(tmp_path, syntax))
        ds.file_meta.TransferSyntaxUID = lossy
        assert not lossy_by(ds)


@pytest.mark.parametrize(
    ("syntax", "stated"),
    [
        (JPEGLosslessSV1, JPEGLosslessSV1),
        (JPEGLSLossless, JPEGLSNearLossless),
        (JPEG2000Lossless, JPEG2000Lossless),
        (JPEG2000Lossless, JPEG2000),
        (RLELossless, RLELossless),
    ],
    ids=lambda one: one.keyword,
)
def test_a_lossless_stream_of_a_film_that_was_lossy_earlier_adds_no_ratio(syntax, stated, tmp_path):
    ds = dcmread(encoded(tmp_path, syntax))
    ds.file_meta.TransferSyntaxUID = stated
    ds.DerivationCodeSequence = [coded("113040", "DCM", "Lossy Compression")]
    assert lossy_by(ds)
    assert ds.LossyImageCompression == "01"
    assert "LossyImageCompressionRatio" not in ds
    assert "LossyImageCompressionMethod" not in ds


@pytest.mark.parametrize(
    "said",
    [
        {"LossyImageCompression": "1"},
        {"LossyImageCompression": "00", "LossyImageCompressionRatio": "12.5"},
        {"LossyImageCompression": "", "LossyImageCompressionMethod": "ISO_10918_1"},
        {"DerivationCodeSequence": [coded("113040", "DCM", "Lossy Compression")]},
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_loss_is_told_by_any_element_that_speaks_of_it(said):
    assert lossy_by(make_film_ds(**said))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_hangs_together_with_the_border_and_leaves_no_hole_in_a_bone(photometric):
    picture = np.rint(chest() * 3000).astype(np.uint16) + 10
    picture[:, :20] = 4000
    picture[100:120, 100:120] = 4000  # a pacemaker, as dense as the padding is
    ds = make_film_ds(picture, photometric=photometric, PixelPaddingValue=4000)
    without = make_film_ds(picture, photometric=photometric)
    film, plain = read_film(ds), read_film(without)
    assert film.pixels[:, :20].max() == 0
    assert np.allclose(film.pixels[:, 20:], plain.pixels[:, 20:], atol=1e-6)
    assert (read_greys(ds).values[:, :20] == 0).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_padding_value_without_its_sign_is_understood():
    picture = np.rint(chest() * 3000).astype(np.int16) - 1500
    picture[:, :20] = -2000
    ds = make_film_ds(picture, bits_stored=16, signed=True, WindowCenter="0", WindowWidth="3000")
    ds.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    assert read_film(ds).pixels[:, :20].max() == 0


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_voi_lut_that_does_not_reach_its_stated_bits_is_no_darker_for_that(bits):
    def film(stated):
        curve = np.rint(np.linspace(0, 1, 4096) ** 0.5 * (2**bits - 1))
        return read_film(make_film_ds(VOILUTSequence=[lut_item(curve, 0, stated)])).pixels

    assert np.array_equal(film(16), film(bits))
    assert np.abs(film(16) - chest() ** 0.5).max() < 0.02
