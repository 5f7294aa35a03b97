"""Pictures as Secondary Captures: the one thing that every viewer shows.

References
----------
PS3.3 A.8.1 (Secondary Capture Image IOD), C.8.6.
"""

import datetime as dt

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from inference.colours import Rgb
from inference.drawing import Caption, draw_comparison, draw_findings
from inference.film import View
from scp.results.answer import Answer, ResultObject
from scp.results.envelope import Envelope, reference
from scp.results.settings import ResultSettings

HEATMAP, COMPARISON = "heatmap-capture", "comparison-capture"

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
SUBTRACTION = Code("113062", "DCM", "Pixel by pixel subtraction")
ORIENTATIONS = frozenset("LRAPHF")


def heatmap_capture(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the picture of the film with its heat maps and the table of findings."""
    envelope = Envelope(answer, HEATMAP)
    rgb = draw_findings(
        answer.film,
        answer.prediction,
        caption=Caption(answer.film.view, study_day(envelope.current)),
        software=str(answer.product),
        comparison=answer.comparison,
        notes=(*answer.notes, *_comparison_note(answer)),
        settings=settings.drawing,
        regions=settings.regions,
    )
    model = answer.prediction.model
    ds = _capture(
        envelope,
        rgb,
        settings,
        number=settings.first_series_number,
        description="AI chest X-ray findings (RUO)",
        derivation=f"Class activation maps of {model.name} {model.version} over the film",
    )
    return ResultObject(HEATMAP, ds)


def comparison_capture(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the picture of what has changed since the prior film, or of why none can be said.

    Raises
    ------
    ValueError
        If the answer has no comparison.
    """
    envelope = Envelope(answer, COMPARISON)
    if answer.comparison is None or envelope.prior is None:
        raise ValueError("a comparison capture needs an answer with a comparison")
    rgb = draw_comparison(
        answer.film,
        answer.comparison,
        current=Caption(answer.film.view, study_day(envelope.current)),
        prior=Caption(_stated_view(envelope.prior), study_day(envelope.prior)),
        software=str(answer.product),
        model=answer.prediction.model,
        notes=answer.notes,
        settings=settings.drawing,
    )
    ds = _capture(
        envelope,
        rgb,
        settings,
        number=settings.first_series_number + 1,
        description="AI chest X-ray comparison (RUO)",
        derivation="Current film compared with the prior film moved onto it",
    )
    if answer.comparison.comparable:
        ds.DerivationCodeSequence = [hd.sr.CodedConcept.from_code(SUBTRACTION)]
    return ResultObject(COMPARISON, ds)


def study_day(header: Dataset) -> dt.date | None:
    """Read the date of a study; None where it is absent or no date."""
    try:
        return dt.datetime.strptime(str(header.get("StudyDate") or ""), "%Y%m%d").date()
    except ValueError:
        return None


def _comparison_note(answer: Answer) -> tuple[str, ...]:
    """Return what is to be said where the changes stand in the table."""
    if answer.comparison is None or not answer.comparison.reason:
        return ()
    if answer.comparison.comparable:
        return (answer.comparison.limited,)
    return (f"Not comparable with the prior film: {answer.comparison.reason}",)


def _stated_view(header: Dataset) -> View:
    stated = str(header.get("ViewPosition") or "").strip().upper()
    return View(stated) if stated in (View.PA, View.AP) else View.UNKNOWN


def _capture(
    envelope: Envelope,
    rgb: Rgb,
    settings: ResultSettings,
    *,
    number: int,
    description: str,
    derivation: str,
) -> Dataset:
    current = envelope.current
    ds: Dataset = hd.sc.SCImage(
        pixel_array=rgb,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below; the argument takes single letters only
        study_instance_uid=current.StudyInstanceUID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **envelope.arguments(number, description),
    )
    envelope.seal(ds)
    envelope.refer(ds)
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    ds.ConversionType = "WSD"
    product = envelope.answer.product
    ds.SecondaryCaptureDeviceManufacturer = product.manufacturer
    ds.SecondaryCaptureDeviceManufacturerModelName = product.model_name
    ds.SecondaryCaptureDeviceSoftwareVersions = product.version
    ds.PatientOrientation = _orientation(current)
    ds.BodyPartExamined = current.get("BodyPartExamined") or "CHEST"
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "NO"
    ds.ImageComments = settings.drawing.label
    ds.DerivationDescription = derivation
    sources = [reference(film) for film in envelope.films]
    for item in sources:
        item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(SOURCE_IMAGE)]
    ds.SourceImageSequence = sources
    _hand_on_loss(ds, envelope.films)
    return ds


def _orientation(header: Dataset) -> list[str] | str:
    """Return the source's orientation; empty (Type 2C) where it states none."""
    stated = header.get("PatientOrientation") or ""
    values = [str(value) for value in stated] if not isinstance(stated, str) else []
    valid = len(values) == 2 and all(value and set(value) <= ORIENTATIONS for value in values)
    return values if valid else ""


def _hand_on_loss(ds: Dataset, films: list[Dataset]) -> None:
    """Say "lossy" of a picture that was made from a lossy one (PS3.3 C.7.6.1.1.5)."""
    lossy = [film for film in films if film.get("LossyImageCompression") == "01"]
    ds.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if lossy and lossy[0].get(keyword):
            setattr(ds, keyword, lossy[0].get(keyword))
