"""Films of Fuji and Canon as these write them, real where they are here, and made up everywhere.

The made-up ones have the headers and the kinds of pixel values of the real ones, and no patient's.
"""

from datetime import UTC

import numpy as np
import pytest
from films import chest, make_film_ds
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage, JPEG2000Lossless

from inference.image.acquisition import Precision, acquisition_time
from inference.image.body_part import BodyPart, body_part_of
from inference.image.codestream import declared, frame_of
from inference.image.gate_settings import GateSettings
from inference.image.grayscale import Window
from inference.image.presentation import Sides
from inference.image.view import View, view_of
from scp.pipeline.reader import Opened, open_film

REAL = {"fuji": "fuji_9000_cr_chest_mono1_10bit", "canon": "canon_dx_chest_j2kr_966_fixed"}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's on values that are odd


def written(ds, **values):
    """Set elements as these bytes, which the Standard would not all allow."""
    for keyword, (vr, value) in values.items():
        tag, raw = Tag(keyword), value.encode()
        ds[tag] = RawDataElement(tag, vr, len(raw), raw, 0, False, True)


def fuji():
    """CR of the nineties: dates with points, Image Type with a space, 10 bits, white is low."""
    made = make_film_ds(
        rows=440,
        columns=440,
        sop_class=ComputedRadiographyImageStorage,
        photometric="MONOCHROME1",
        bits_stored=10,
        Manufacturer="FUJI PHOTO FILM CO. LTD.",
        ManufacturerModelName="9000",
        AcquisitionDeviceProcessingDescription="[CHEST,GENERAL     ]",
        WindowCenter="550",
        WindowWidth="1024",
        SpatialResolution="0.2",
        PlateType="ST",
        CassetteSize="35CMX35CM",
        Sensitivity="357",
        BorderDensity="BLACK",
    )
    missing = ("PatientAge", "PatientBirthDate", "PatientOrientation", "ImagerPixelSpacing")
    missing += ("SeriesDescription", "StudyDescription", "LossyImageCompression", "PlateID", "KVP")
    for kind in ("Study", "Series", "Content"):
        missing += (f"{kind}Date", f"{kind}Time")
    for keyword in missing:
        made.pop(keyword, None)
    written(made, ImageType=("CS", "ORIGINAL PRIMARY"))
    written(made, AcquisitionDate=("DA", "1997.02.03"), AcquisitionTime=("TM", "17:58:00"))
    return made


def canon():
    """DX in JPEG 2000: a third Image Type that is empty, signs and numbers of its own form."""
    picture = chest(2128, 2000)
    picture[:, :40] = 0  # where the rays fell on the bare detector: all 12 bits are set
    made = make_film_ds(
        picture,
        photometric="MONOCHROME1",
        transfer_syntax=JPEG2000Lossless,
        Manufacturer="Canon Inc.",
        ManufacturerModelName="",
        SeriesDescription="pa",
        StudyDescription="",
        ProtocolName="",
        DerivationDescription="DMJ2K 7.0.0.25",
        AnatomicRegionSequence=[],
        ViewCodeSequence=None,
        ImageLaterality="R",
        PixelIntensityRelationshipSign=-1,
        ImagerPixelSpacing=["0.160", "0.160"],
        PixelSpacing=["0.160", "0.160"],
        FieldOfViewRotation="90",
        FieldOfViewHorizontalFlip="YES",
        PatientAge="",
        PatientBirthDate="",
        AcquisitionDate=None,
        AcquisitionTime=None,
    )
    for kind in ("Study", "Content"):
        setattr(made, f"{kind}Date", "")
        setattr(made, f"{kind}Time", "")
    written(
        made,
        ImageType=("CS", "DERIVED\\PRIMARY\\"),
        KVP=("DS", "+125.0"),
        AccessionNumber=("SH", "1" * 56),
        SeriesTime=("TM", "102105.000000"),
    )
    return made


@pytest.fixture(params=["made up", "real"])
def film_of(request, tmp_path):
    def path(maker):
        if request.param == "real":
            return request.getfixturevalue("shared_data") / "dicom" / f"{REAL[maker]}.dcm"
        made = tmp_path / f"{maker}.dcm"
        {"fuji": fuji, "canon": canon}[maker]().save_as(made, enforce_file_format=True)
        return made

    return path


def lungs_and_middle(pixels):
    """The mean grey of both lungs, and of the mediastinum between them."""
    rows, columns = pixels.shape
    band = pixels[int(0.3 * rows) : int(0.45 * rows)]
    lungs = np.r_[0.22:0.34:9j, 0.66:0.78:9j] * columns
    return band[:, lungs.astype(int)].mean(), band[:, int(0.5 * columns)].mean()


def test_a_fuji_cr_film_is_read(film_of):
    path = film_of("fuji")
    ds = dcmread(path)
    assert (view_of(ds).view, view_of(ds).keyword) == (View.PA, "ViewPosition")
    assert body_part_of(ds).part is BodyPart.CHEST
    taken = acquisition_time(ds, UTC)
    assert (taken.source, taken.precision) == ("AcquisitionDate", Precision.SECOND)
    assert taken.when.year < 2000
    opened = open_film(path, GateSettings())
    assert isinstance(opened, Opened)
    film = opened.film
    assert film.pixels.shape == (440, 440)
    assert film.voi == Window(550, 1024)
    assert film.spacing_mm is None
    assert opened.notes == ("age not stated", "pixel spacing not stated")
    lungs, middle = lungs_and_middle(film.pixels)
    assert lungs < middle - 0.1


def test_a_canon_dx_film_is_read(film_of):
    path = film_of("canon")
    ds = dcmread(path)
    assert (view_of(ds).view, view_of(ds).keyword) == (View.PA, "ViewPosition")
    assert body_part_of(ds).part is BodyPart.CHEST
    taken = acquisition_time(ds, UTC)
    assert (taken.source, taken.precision) == ("SeriesDate", Precision.SECOND)
    stream = declared(frame_of(ds.PixelData), ds.file_meta.TransferSyntaxUID)
    assert (stream.rows, stream.columns, stream.bits, stream.lossless) == (2128, 2000, 12, True)
    opened = open_film(path, GateSettings())
    assert isinstance(opened, Opened)
    film = opened.film
    assert film.pixels.shape == (2128, 2000)
    assert film.voi == Window(2048, 4096)
    assert film.spacing_mm == (0.16, 0.16)
    assert film.presentation.sides == Sides("R", "L")
    assert len(opened.notes) == 1
    assert opened.notes[0] in ("age not stated", "birth date stated, but not understood")
    lungs, middle = lungs_and_middle(film.pixels)
    assert lungs < middle
    part = open_film(path, GateSettings(), at_least=768).film
    assert part.pixels.shape == (1064, 1000)
    assert np.abs(part.pixels.mean() - film.pixels.mean()) < 0.001
