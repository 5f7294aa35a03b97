"""May this image be read at all? If not: the reason, as a value.

A refusal is a stated outcome, not an error. Its ``detail`` is a sentence for a person and names
no patient; its ``reason`` is a stable word for metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from inference.image.age import age_at_most, age_years
from inference.image.body_part import BodyPart, body_part_of
from inference.image.derived import derived_by
from inference.image.film import Film
from inference.image.gate_settings import GateSettings
from inference.image.header import text
from inference.image.patient import animal_evidence, child_by
from inference.image.view import FRONTAL, Doubt, View, directions_of, view_of

PRODUCT_MANUFACTURER = "hilum"

FILM_CLASSES = frozenset({ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation})
CAPTURE_CLASSES = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    }
)
FILM_MODALITIES = frozenset({"CR", "DX", "RG"})  # RG: radiographic imaging, scanned films


class Reason(StrEnum):
    """Why an image is not read: stable words for metrics and the index."""

    OWN_RESULT = "own_result"
    WRONG_SOP_CLASS = "wrong_sop_class"
    WRONG_MODALITY = "wrong_modality"
    SECONDARY_CAPTURE = "secondary_capture"
    FOR_PROCESSING = "for_processing"
    DERIVED = "derived"
    NOT_HUMAN = "not_human"
    UNDER_AGE = "under_age"
    NOT_A_CHEST = "not_a_chest"
    BODY_PART_UNKNOWN = "body_part_unknown"
    BODY_PART_NOT_UNDERSTOOD = "body_part_not_understood"
    NOT_FRONTAL = "not_frontal"
    VIEW_UNKNOWN = "view_unknown"
    VIEW_NOT_UNDERSTOOD = "view_not_understood"
    NOT_UPRIGHT = "not_upright"
    POLARITY_CONTRADICTED = "polarity_contradicted"
    UNDECODABLE = "undecodable"
    TOO_SMALL = "too_small"
    IMPLAUSIBLE_SHAPE = "implausible_shape"
    CONSTANT = "constant"
    CLIPPED = "clipped"
    POLARITY_INVERTED = "polarity_inverted"
    NOT_A_FRONTAL_CHEST = "not_a_frontal_chest"


@dataclass(frozen=True)
class Refusal:
    """Why an image is not read: a word for machines and a sentence for people."""

    reason: Reason
    detail: str


def check_header(
    ds: Dataset, settings: GateSettings, manufacturer: str = PRODUCT_MANUFACTURER
) -> Refusal | None:
    """Decide by the header alone; None lets the image pass. Never raises on odd values.

    Parameters
    ----------
    manufacturer
        The Manufacturer that our own results carry: reading them again would never end.
    """
    makers = {
        text(ds, k).casefold() for k in ("Manufacturer", "SecondaryCaptureDeviceManufacturer")
    }
    if manufacturer.casefold() in makers:
        return Refusal(Reason.OWN_RESULT, f"This is a result of {manufacturer} itself.")
    for check in _HEADER_CHECKS:
        if refusal := check(ds, settings):
            return refusal
    return None


def _check_class(ds: Dataset, settings: GateSettings) -> Refusal | None:
    sop_class = UID(text(ds, "SOPClassUID"))
    if sop_class == DigitalXRayImageStorageForProcessing or (
        text(ds, "PresentationIntentType").upper() == "FOR PROCESSING"
    ):
        return Refusal(Reason.FOR_PROCESSING, "The image is For Processing, not For Presentation.")
    capture = sop_class in CAPTURE_CLASSES
    if not capture and sop_class not in FILM_CLASSES:
        return Refusal(
            Reason.WRONG_SOP_CLASS, f"{sop_class.name or 'No SOP class'} is not an X-ray film."
        )
    if capture and not settings.accept_secondary_capture:
        return Refusal(Reason.SECONDARY_CAPTURE, "Secondary Captures are not read at this site.")
    modality = text(ds, "Modality").upper()
    if modality and modality not in FILM_MODALITIES and not (capture and modality == "OT"):
        return Refusal(Reason.WRONG_MODALITY, "The modality is neither CR nor DX.")
    return None


def _check_species(ds: Dataset, _settings: GateSettings) -> Refusal | None:
    evidence = animal_evidence(ds)
    return Refusal(Reason.NOT_HUMAN, f"{evidence} indicates an animal.") if evidence else None


def _check_derived(ds: Dataset, settings: GateSettings) -> Refusal | None:
    where = derived_by(ds, settings.vocabulary)
    if not where:
        return None
    return Refusal(
        Reason.DERIVED,
        f"{where} says that this picture was made from a film (bone, soft tissue, subtraction, "
        "enhancement or marks) and is not the film.",
    )


def _check_age(ds: Dataset, settings: GateSettings) -> Refusal | None:
    least = settings.minimum_age_years
    if any(age is not None and age < least for age in (age_years(ds), age_at_most(ds))):
        return Refusal(Reason.UNDER_AGE, f"The patient is under {least} years old.")
    where = child_by(ds, settings.vocabulary) if least else ""
    return Refusal(Reason.UNDER_AGE, f"{where} indicates a child.") if where else None


def _check_body_part(ds: Dataset, settings: GateSettings) -> Refusal | None:
    stated = body_part_of(ds, settings.vocabulary)
    if stated.part is BodyPart.OTHER:
        against = f", although {stated.against} names the chest" if stated.against else ""
        detail = f"{stated.keyword} names a body part other than the chest{against}."
        return Refusal(Reason.NOT_A_CHEST, detail)
    if stated.doubt is Doubt.NOT_UNDERSTOOD and settings.not_understood == "refuse":
        text = f"The body part is stated as {_quoted(stated.value)}, not understood"
        return Refusal(Reason.BODY_PART_NOT_UNDERSTOOD, f"{text} ({stated.keyword}).")
    if stated.part is BodyPart.UNKNOWN and settings.unknown_body_part == "refuse":
        return Refusal(Reason.BODY_PART_UNKNOWN, "The header names no body part.")
    return None


def _check_view(ds: Dataset, settings: GateSettings) -> Refusal | None:
    stated = view_of(ds, settings.vocabulary)
    view, where = stated.view, stated.keyword
    if view not in FRONTAL:
        value = f" {stated.value}" if where == "ViewPosition" else ""
        against = f", although {stated.against} says frontal" if stated.against else ""
        return Refusal(Reason.NOT_FRONTAL, f"The header says {view} ({where}{value}){against}.")
    if stated.doubt is Doubt.SEVERAL_VIEWS:
        return Refusal(
            Reason.VIEW_UNKNOWN, f"{where} names several views; this may be the lateral of them."
        )
    if stated.doubt is Doubt.NOT_UNDERSTOOD and settings.not_understood == "refuse":
        text = f"The view is stated as {_quoted(stated.value)}, not understood ({where})."
        return Refusal(Reason.VIEW_NOT_UNDERSTOOD, text)
    if view is View.UNKNOWN and settings.unknown_view == "refuse":
        return Refusal(Reason.VIEW_UNKNOWN, "The header states no view.")
    return None


def _quoted(value: str) -> str:
    """Quote what a header says, as far as one line holds it."""
    plain = "".join(one if one.isprintable() else " " for one in value)
    return f"'{plain[:40]}'"


def _check_orientation(ds: Dataset, _settings: GateSettings) -> Refusal | None:
    """Refuse films stored turned or head down: the network has only ever seen upright ones."""
    directions = directions_of(ds)
    if len(directions) == 2 and (directions[0] in ("H", "F") or directions[1] == "H"):
        return Refusal(Reason.NOT_UPRIGHT, "PatientOrientation: the film is not stored upright.")
    return None


def _check_polarity(ds: Dataset, settings: GateSettings) -> Refusal | None:
    """Refuse a header that inverts and does not (PS3.3 C.8.11.3.1.2).

    DCMTK then follows the shape, web viewers the photometric interpretation.
    """
    if polarity_contradicted(ds) and settings.contradictory_polarity == "refuse":
        return Refusal(
            Reason.POLARITY_CONTRADICTED,
            "PhotometricInterpretation and PresentationLUTShape contradict each other.",
        )
    return None


def polarity_contradicted(ds: Dataset) -> bool:
    """Return whether the header says both that the greys are inverted and that they are not."""
    wrong = {("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")}
    return (text(ds, "PhotometricInterpretation"), text(ds, "PresentationLUTShape")) in wrong


_HEADER_CHECKS: tuple[Callable[[Dataset, GateSettings], Refusal | None], ...] = (
    _check_class,
    _check_species,
    _check_derived,
    _check_age,
    _check_body_part,
    _check_view,
    _check_orientation,
    _check_polarity,
)


def check_pixels(film: Film, settings: GateSettings) -> Refusal | None:
    """Decide by the decoded picture; None lets it pass."""
    short = min(film.shape)
    if short < settings.minimum_size_px:
        return Refusal(
            Reason.TOO_SMALL,
            f"The shorter side has {short} pixels, fewer than {settings.minimum_size_px}.",
        )
    shorter, longer = sorted(film.proportions)
    if longer > settings.maximum_aspect_ratio * shorter:
        return Refusal(
            Reason.IMPLAUSIBLE_SHAPE,
            f"One side is {longer / shorter:.1f} times as long as the other: too long for a chest"
            " film.",
        )
    if _structure(film) < settings.minimum_structure:
        return Refusal(Reason.CONSTANT, "The picture shows nothing: it is blank or noise.")
    occluded = film.presentation.occluded
    seen = film.pixels if occluded is None else film.pixels[~occluded]
    clipped = float(np.mean((seen <= 0) | (seen >= 1)))
    if clipped > settings.maximum_clipped:
        return Refusal(Reason.CLIPPED, f"{clipped:.0%} of the pixels are fully black or white.")
    return None


def _structure(film: Film) -> float:
    """Return the standard deviation of the film averaged over 16 x 16 fields."""
    height, width = (side // 16 for side in film.pixels.shape)
    if not height or not width:
        return 0.0
    whole = film.pixels[: 16 * height, : 16 * width].reshape(16, height, 16, width)
    return float(whole.mean(axis=(1, 3)).std())
