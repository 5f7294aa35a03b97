r"""Pictures made of a film that are not the film: bone, soft tissue, subtracted, enhanced.

A film that was only processed again, compressed or cut (DERIVED\PRIMARY) is still a film.

References
----------
PS3.3 C.7.6.1.1.2 (Image Type), C.7.6.1.1.3 (derivation); PS3.16 CID 7203 (image derivation).
"""

from pydicom.dataset import Dataset

from inference.image.header import items, text, texts
from inference.image.vocabulary import Concept, Vocabulary, vocabulary

# of CID 7203, all of DCM: what leaves no film
DERIVATION_CODES = frozenset(
    {
        "113047",  # pixel by pixel mask
        "113053",  # pixel by pixel multiplication
        "113046",  # pixel by pixel division
        "113062",  # pixel by pixel subtraction
        "113076",  # segmentation
        "113097",  # multi-energy proportional weighting
        "125027",  # deformed for registration
    }
)
# what may tell of the picture, and of how a film was processed
_TEXTS = (
    "DerivationDescription",
    "AcquisitionDeviceProcessingDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
)


def derived_by(ds: Dataset, words: Vocabulary | None = None) -> str:
    """Return the element that says the picture was made of a film; "" where none does.

    Parameters
    ----------
    words
        The vocabulary; None for hilum's own.
    """
    words = words or vocabulary()
    kind = words.read(*texts(ds, "ImageType"))
    if kind.concepts & {Concept.DERIVED, Concept.DERIVED_SERIES, Concept.DERIVED_TYPE}:
        return "ImageType"
    named = " ".join(texts(ds, "SeriesDescription"))
    series = words.read(named).concepts & {Concept.DERIVED, Concept.DERIVED_SERIES}
    # "TUBE": as the whole of a name; "Chest PA tube" is a film
    if series or words.all_say(named, Concept.DERIVED_TYPE):
        return "SeriesDescription"
    for keyword in _TEXTS:
        if Concept.DERIVED in words.read(*texts(ds, keyword)):
            return keyword
    for item in items(ds, "DerivationCodeSequence"):
        meaning = words.read(text(item, "CodeMeaning"))
        if text(item, "CodeValue") in DERIVATION_CODES or Concept.DERIVED in meaning:
            return "DerivationCodeSequence"
    return ""
