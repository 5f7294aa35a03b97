"""Are all objects valid, whatever film came in? Judged by dicom3tools, DCMTK and PixelMed.

Each axis is gone through in full: class and polarity by bits and sign, transfer syntaxes, character
sets, each attribute absent, odd values, what was found. Every film is decoded from its own bytes,
and every kind of object is made of it.
"""

import warnings

import pytest
from answers import (
    CHARACTER_SETS,
    COLUMNS,
    GERMAN,
    PIXELS,
    ROWS,
    answers,
    not_analysed,
    prior_film,
    read_back,
    received,
    sent,
)
from films import make_film_ds
from invented import comparison, everything_positive, prediction
from pydicom import dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    SecondaryCaptureImageStorage,
)
from syntaxes import encoded
from validators import complaints, dciodvfy, pixelmed

from inference.film import NotAFilm, read_film
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.results.kinds import KINDS, NOT_ANALYSED
from scp.results.objects import to_bytes
from scp.results.settings import ReportClass

CR, DX = ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation
SC, PROCESSING = SecondaryCaptureImageStorage, DigitalXRayImageStorageForProcessing


def film_file(folder, **film):
    path = folder / "film.dcm"
    path.write_bytes(sent(**film))
    return path


def wrong_with(objects, folder, source=None):
    """Return what the validators say of objects by kind: nothing of valid ones."""
    inherited = [] if source is None else dciodvfy(source)
    said = [(made.kind, complaints(made.ds, folder, inherited)) for made in objects]
    return {kind: lines for kind, lines in said if lines}


def wrong_with_all(folder, *, compared=True, **film):
    """Judge every object that answers a film, with a prior like it, or says it was not read."""
    path = film_file(folder, **film)
    source = dcmread(path)
    made = answers(source, prior_film(**film) if compared else None)
    return wrong_with([*made, not_analysed(source)], folder, path)


def test_every_kind_of_object_is_judged():
    made = [*answers(received(), prior_film()), not_analysed(received())]
    assert [one.kind for one in made] == [kind.name for kind in KINDS]


# -- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("sop_class", [CR, DX], ids=["cr", "dx"])
def test_objects_are_valid_for_every_class_polarity_and_depth(
    sop_class, photometric, bits, tmp_path
):
    film = {"sop_class": sop_class, "photometric": photometric, "bits_stored": bits}
    path = film_file(tmp_path, **film)
    assert wrong_with(answers(dcmread(path)), tmp_path, path) == {}


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize(
    ("sop_class", "photometric"), [(CR, "MONOCHROME1"), (DX, "MONOCHROME2")], ids=["cr", "dx"]
)
def test_objects_are_valid_for_signed_films(sop_class, photometric, bits, tmp_path):
    film = {"sop_class": sop_class, "photometric": photometric, "bits_stored": bits}
    path = film_file(tmp_path, signed=True, **film)
    assert wrong_with(answers(dcmread(path)), tmp_path, path) == {}


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_objects_are_valid_for_every_transfer_syntax(syntax, tmp_path):
    # 12-bit JPEG Extended has a decoder only where a site asks for it; 8 bits are read everywhere
    bits = 8 if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) else 12
    path = encoded(tmp_path, syntax, rows=ROWS, columns=COLUMNS, bits_stored=bits)
    ds = dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert wrong_with(answers(ds), tmp_path, path) == {}


# -- text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_objects_are_valid_for_every_character_set(name, tmp_path):
    assert wrong_with_all(tmp_path, **CHARACTER_SETS[name]) == {}


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_the_patients_name_arrives_letter_for_letter_in_utf_8(name):
    source, prior = received(**CHARACTER_SETS[name]), prior_film(**CHARACTER_SETS[name])
    drawn_are_alike = {"summary_capture": False, "finding_captures": 0}
    for made in [*answers(source, prior, **drawn_are_alike), not_analysed(source)]:
        ds = read_back(made.ds)
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert ds.PatientName == CHARACTER_SETS[name]["patient_name"]


# -- attributes --------------------------------------------------------------------------------

# without these no film can be referred to, and the receiver takes none in
NEEDED_TO_REFER = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}
# without these nothing can be decoded: a film is not analysed, and may be said to be so
NEEDED_TO_DECODE = {
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "PixelRepresentation", "PixelData"),
}
# each attribute that a class of film has here, and the first class that has it
ATTRIBUTES = {
    element.keyword: sop_class
    for sop_class in (SC, CR, DX)
    for element in make_film_ds(rows=8, columns=8, issuer="HOSPITAL", sop_class=sop_class)
    if element.keyword not in NEEDED_TO_REFER
}


@pytest.mark.parametrize("keyword", sorted(set(ATTRIBUTES) - NEEDED_TO_DECODE))
def test_objects_are_valid_without_any_one_attribute(keyword, tmp_path):
    film = {"issuer": "HOSPITAL", "sop_class": ATTRIBUTES[keyword], keyword: None}
    assert wrong_with_all(tmp_path, compared=False, **film) == {}


@pytest.mark.parametrize("keyword", sorted(NEEDED_TO_DECODE))
def test_the_report_of_a_film_that_cannot_be_decoded_is_valid(keyword, tmp_path):
    path = film_file(tmp_path, sop_class=CR, **{keyword: None})
    with pytest.raises(NotAFilm):
        read_film(dcmread(path))
    assert wrong_with([not_analysed(dcmread(path))], tmp_path, path) == {}
