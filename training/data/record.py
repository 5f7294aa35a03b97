"""One labelled film."""

from dataclasses import dataclass
from pathlib import Path

from training.data.boxes import Box


@dataclass(frozen=True)
class Record:
    """One labelled film of a list.

    Attributes
    ----------
    path
        A PNG, a JPEG or a DICOM file.
    patient
        Who it shows, as the list names them.
    split
        train, val or test.
    labels
        0 or 1, in the order of `FINDINGS`.
    source_px
        Longer side of the picture that the file was made from; None where not stated.
    age
        Years; None where not stated.
    sex, view
        As the list says (F, M; PA, AP); empty where not stated.
    source
        Which collection the film comes from; empty where not stated.
    boxes
        Where radiologists drew findings on it, as far as a list says.
    """

    path: Path
    patient: str
    split: str
    labels: tuple[int, ...]
    source_px: int | None = None
    age: int | None = None
    sex: str = ""
    view: str = ""
    source: str = ""
    boxes: tuple[Box, ...] = ()

    @property
    def name(self) -> str:
        """The film's name without folder and suffix, as in NIH's ``Image Index``."""
        return self.path.stem
