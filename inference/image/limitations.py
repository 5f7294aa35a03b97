"""Limitations of a film that passes the gate."""

from pydicom.dataset import Dataset
from pydicom.uid import UID

from inference.image.age import age_years, birth_not_understood
from inference.image.body_part import BodyPart, body_part_of
from inference.image.gate import CAPTURE_CLASSES, polarity_contradicted
from inference.image.header import number, text
from inference.image.view import Doubt, View, directions_of, image_texts, study_texts, view_of
from inference.image.vocabulary import Concept, Vocabulary, vocabulary

# how the patient lay, which a comparison must know
PORTABLE, SUPINE = "portable film", "supine film"
# of a bundle, or a setting, without one
NO_INPUT_CHECK = "no input check: nothing checked whether this is an upright frontal chest film"
# of a bundle that states no figures on films that did not teach
NOT_MEASURED = "the model states no figures on unseen films: how far it can be trusted is unknown"

OF_THE_MODEL = (NO_INPUT_CHECK, NOT_MEASURED)


def bundle_limitations(*, checked: bool, measured: bool) -> tuple[str, ...]:
    """Say what limits every answer of a bundle.

    Parameters
    ----------
    checked
        Whether an input check looks at films.
    measured
        Whether the bundle states how well it tells each finding apart on unseen films.
    """
    limits = {NO_INPUT_CHECK: not checked, NOT_MEASURED: not measured}
    return tuple(note for note, holds in limits.items() if holds)


def limitations_of(ds: Dataset, words: Vocabulary | None = None) -> tuple[str, ...]:
    """Say what lets an image pass but limits what may be read from it."""
    words = words or vocabulary()
    stated, part = view_of(ds, words), body_part_of(ds, words)
    view, age, unread_birth = stated.view, age_years(ds), birth_not_understood(ds)
    notes = {
        "age not stated": age is None and not (text(ds, "PatientAge") or unread_birth),
        "age stated, but not understood": age is None and bool(text(ds, "PatientAge")),
        "birth date stated, but not understood": age is None and unread_birth,
        "body part not stated": part.part is BodyPart.UNKNOWN and not part.doubt,
        "body part stated, but not understood": bool(part.doubt),
        "view not stated": view is View.UNKNOWN and not stated.doubt,
        "view stated, but not understood": stated.doubt is Doubt.NOT_UNDERSTOOD,
        "frontal film, PA or AP not stated: heart size may be magnified": view is View.FRONTAL,
        "AP film: heart size is magnified": view is View.AP,
        PORTABLE: _says(ds, words, Concept.PORTABLE),
        SUPINE: _says(ds, words, Concept.SUPINE),
        "stored mirrored (PatientOrientation)": directions_of(ds)[:1] == ("R",),
        "stored with lossy compression": text(ds, "LossyImageCompression") == "01",
        "polarity contradicted: photometric interpretation followed": polarity_contradicted(ds),
        "Secondary Capture": UID(text(ds, "SOPClassUID")) in CAPTURE_CLASSES,
        "pixel spacing not stated": not (
            number(ds, "ImagerPixelSpacing") or number(ds, "PixelSpacing")
        ),
    }
    return tuple(note for note, holds in notes.items() if holds)


def _says(ds: Dataset, words: Vocabulary, concept: Concept) -> bool:
    texts_read = (value for _, value in (*image_texts(ds), *study_texts(ds)))
    return concept in words.read(text(ds, "StationName"), text(ds, "ViewPosition"), *texts_read)
