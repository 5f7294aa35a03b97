"""Headers that contradict the pixels beside them, told by no decoder."""

import imagecodecs
import numpy as np
import pytest
from films import lut_item, make_film_ds
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from inference.image.film import NotAFilm, read_film
from inference.image.header import size
from inference.image.limitations import limitations_of
from inference.image.lossy import state_lossy

EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"Columns": 223}, "have 512 bytes more than the 114176 of the header: 256 x 223"),
        ({"Rows": 255}, "have 448 bytes more"),
        (EIGHT_BITS, "of 8 bits, and one frame"),
        ({"Rows": 128}, "and one frame"),  # two frames, and no NumberOfFrames
        ({"Rows": 257}, "cut short by 448 of 115136 bytes"),
    ],
)
def test_native_pixels_that_do_not_fill_the_stated_shape_are_not_read(syntax, stated, reason):
    ds = make_film_ds(transfer_syntax=syntax)
    ds.update(stated)
    with pytest.raises(NotAFilm, match=reason):
        read_film(ds)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"Columns": 223}, "have 57344 pixels: 256 x 223 are stated"),
        ({"Rows": 100}, "have 57344 pixels"),
        ({"Rows": 257}, "are cut short: they have 57344 of 57568 pixels"),
    ],
)
def test_rle_pixels_that_do_not_fill_the_stated_shape_are_not_read(stated, reason, capfd):
    ds = make_film_ds(transfer_syntax=RLELossless)
    ds.update(stated)
    with pytest.raises(NotAFilm, match=reason):
        read_film(ds)
    assert "panicked" not in capfd.readouterr().err


def test_a_little_padding_behind_native_pixels_does_not_matter():
    ds, padded = make_film_ds(), make_film_ds()
    padded.PixelData += bytes(200)
    assert np.array_equal(read_film(padded).pixels, read_film(ds).pixels)


LOSSY = {
    JPEGLSLossless: lambda stored: imagecodecs.jpegls_encode(stored, level=3),
    JPEG2000Lossless: lambda stored: imagecodecs.jpeg2k_encode(
        stored, level=60, codecformat="j2k", bitspersample=12, reversible=False
    ),
    HTJ2KLossless: lambda stored: imagecodecs.htj2k_encode(stored, reversible=False),
}


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_stream_with_loss_is_called_lossy_under_the_name_of_a_lossless_syntax(syntax):
    ds = make_film_ds()
    ds.PixelData = encapsulate([LOSSY[syntax](ds.pixel_array)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    state_lossy(ds)
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionMethod in ("ISO_14495_1", "ISO_15444_1", "ISO_15444_15")
    assert "stored with lossy compression" in limitations_of(ds, None)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("signed", "padding"), [(False, 65535), (False, 63536), (True, -32768), (True, 32767)]
)
def test_a_padding_value_beyond_bits_stored_is_still_padding(photometric, signed, padding):
    clean = make_film_ds(photometric=photometric, signed=signed)
    stored = clean.pixel_array.copy()
    stored[:16] = stored[:, -9:] = padding
    ds = make_film_ds(photometric=photometric, signed=signed)
    ds.PixelData = stored.tobytes()
    ds.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
    pixels = read_film(ds).pixels
    assert not pixels[:16].any()
    assert not pixels[:, -9:].any()
    assert np.array_equal(pixels[20:, :200], read_film(clean).pixels[20:, :200])


@pytest.mark.parametrize("first", [63488, -2048])
def test_the_first_value_of_a_lut_counts_with_its_sign(first):
    ds = make_film_ds(signed=True)
    del ds.WindowCenter, ds.WindowWidth
    item = lut_item(range(4095, -1, -1), 0, 12)
    item.add_new("LUTDescriptor", "US" if first > 0 else "SS", [4096, first, 12])
    ds.VOILUTSequence = [item]
    assert np.allclose(read_film(ds).pixels, 1 - read_film(make_film_ds()).pixels, atol=1e-3)


@pytest.mark.parametrize("empty", [None, b""])
def test_pixel_data_of_no_bytes_are_none(empty):
    ds: Dataset = make_film_ds()
    ds.PixelData = empty
    with pytest.raises(NotAFilm, match="holds no pixel data"):
        read_film(ds)


def test_of_two_values_where_one_is_meant_the_first_counts_in_the_report_too():
    ds = make_film_ds()
    ds.add_new("Rows", "US", [256, 256])
    assert read_film(ds).shape == (256, 224)
    assert size(ds) == (256, 224)
