"""Pictures as Secondary Captures: the one thing that every viewer shows.

References
----------
PS3.3 A.8.1 (Secondary Capture Image IOD), C.8.6.
"""

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from inference.drawing.closeup import draw_closeup
from inference.drawing.colours import Rgb
from inference.drawing.summary import Caption, draw_comparison, draw_findings
from inference.findings import FINDINGS
from inference.statements import NOT_VERIFIED
from scp.config.results import ResultSettings
from scp.results.answer import Answer, ResultObject
from scp.results.envelope import CommonModules, reference
from scp.results.kinds import CLOSEUP, COMPARISON, SUMMARY
from scp.results.uids import named

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
SUBTRACTION = Code("113062", "DCM", "Pixel by pixel subtraction")
ORIENTATIONS = frozenset("LRAPHF")


def summary_capture(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the picture of the film with its strongest heat maps and the table of findings."""
    rgb = draw_findings(
        answer.film,
        answer.prediction,
        answer.outlines,
        caption=_caption(answer),
        software=str(answer.product),
        prior=_prior_caption(answer),
        comparison=answer.comparison,
        notes=(*_notes(answer), *_comparison_note(answer)),
        settings=settings.drawing,
    )
    modules = CommonModules(answer, SUMMARY, settings)
    return named(SUMMARY, _capture(modules, rgb, f"{_maps_of(answer)} over the film"))[0]


def finding_captures(answer: Answer, settings: ResultSettings) -> list[ResultObject]:
    """Make a picture of each of the strongest positive findings, in one series.

    Findings whose maps are withheld have none: there is nothing to show.
    """
    found = answer.prediction
    strongest = found.mapped[: settings.finding_captures]
    modules = CommonModules(answer, CLOSEUP, settings)
    made = []
    for number, i in enumerate(strongest, start=1):
        rgb = draw_closeup(
            answer.film,
            found,
            i,
            answer.outlines[i],
            caption=_caption(answer),
            software=str(answer.product),
            prior=_prior_caption(answer),
            change=answer.change(i),
            notes=_notes(answer),
            settings=settings.drawing,
        )
        derivation = f"{FINDINGS[i].name}: {_maps_of(answer)} over the film, and a part enlarged"
        made.append(_capture(modules, rgb, derivation, number))
    return named(CLOSEUP, *made) if made else []


def comparison_capture(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the picture of what has changed since the prior film, or of why none can be said.

    Raises
    ------
    ValueError
        If the answer has no comparison.
    """
    prior = _prior_caption(answer)
    if answer.comparison is None or prior is None:
        raise ValueError("a comparison capture needs an answer with a comparison")
    rgb = draw_comparison(
        answer.film,
        answer.comparison,
        current=_caption(answer),
        prior=prior,
        software=str(answer.product),
        model=answer.model,
        notes=_notes(answer),
        settings=settings.drawing,
    )
    modules = CommonModules(answer, COMPARISON, settings)
    ds = _capture(modules, rgb, "Current film compared with the prior film moved onto it")
    if answer.comparison.comparable:
        ds.DerivationCodeSequence = [hd.sr.CodedConcept.from_code(SUBTRACTION)]
    return named(COMPARISON, ds)[0]


def _maps_of(answer: Answer) -> str:
    return f"class activation maps of {answer.model.name} {answer.model.version}"


def _caption(answer: Answer) -> Caption:
    return Caption(answer.film.view, answer.acquired)


def _prior_caption(answer: Answer) -> Caption | None:
    if answer.prior is None:
        return None
    return Caption(answer.prior_view, answer.prior_acquired)


def _notes(answer: Answer) -> tuple[str, ...]:
    """Return what limits the reading, then that it is not the first answer."""
    return tuple(note for note in (*answer.notes, answer.edition.sentence) if note)


def _comparison_note(answer: Answer) -> tuple[str, ...]:
    """Return what to state in the table's column of changes."""
    if answer.comparison is None or not answer.comparison.reason:
        return ()
    if answer.comparison.comparable:
        return (answer.comparison.limited,)
    return (f"Not comparable with the prior film: {answer.comparison.reason}",)


def _capture(modules: CommonModules, rgb: Rgb, derivation: str, number: int = 1) -> Dataset:
    current, settings = modules.current, modules.settings
    ds: Dataset = hd.sc.SCImage(
        pixel_array=rgb,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below; the argument takes single letters only
        study_instance_uid=current.StudyInstanceUID,
        transfer_syntax_uid=modules.kind.transfer_syntax,
        **modules.arguments(number),
    )
    modules.add_common_modules(ds)
    modules.add_references(ds)
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    ds.ConversionType = "WSD"
    product = modules.statement.product
    ds.SecondaryCaptureDeviceManufacturer = product.manufacturer
    ds.SecondaryCaptureDeviceManufacturerModelName = product.model_name
    ds.SecondaryCaptureDeviceSoftwareVersions = product.version
    ds.PatientOrientation = orientation(current)
    ds.BodyPartExamined = modules.body_part
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "NO"
    ds.ImageComments = f"{settings.drawing.label}. {NOT_VERIFIED}"
    ds.DerivationDescription = derivation[0].upper() + derivation[1:]
    sources = [reference(film) for film in modules.films]
    for item in sources:
        item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(SOURCE_IMAGE)]
    ds.SourceImageSequence = sources
    hand_on_loss(ds, modules.films)
    return ds


def orientation(header: Dataset) -> list[str] | str:
    """Return the source's orientation; empty (Type 2C) where it states none."""
    stated = header.get("PatientOrientation") or ""
    values = [str(value) for value in stated] if not isinstance(stated, str) else []
    valid = len(values) == 2 and all(value and set(value) <= ORIENTATIONS for value in values)
    return values if valid else ""


def hand_on_loss(ds: Dataset, films: list[Dataset]) -> None:
    """Say "lossy" of a picture that was made from a lossy one (PS3.3 C.7.6.1.1.5)."""
    lossy = [film for film in films if film.get("LossyImageCompression") == "01"]
    ds.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if lossy and lossy[0].get(keyword):
            setattr(ds, keyword, lossy[0].get(keyword))
