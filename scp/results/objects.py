"""One answer -> its DICOM objects, and their bytes."""

import io

from pydicom.dataset import Dataset

from scp.results.answer import Answer, ResultObject
from scp.results.captures import comparison_capture, heatmap_capture
from scp.results.report import report
from scp.results.settings import ResultSettings


def make_objects(answer: Answer, settings: ResultSettings) -> list[ResultObject]:
    """Make every object that the settings ask for, all in the study of the current film.

    The same answer and settings make the same UIDs and the same bytes. The comparison capture
    exists only with a comparison; films that are not comparable have one too, and it says so.
    """
    made = []
    if settings.heatmap_capture:
        made.append(heatmap_capture(answer, settings))
    if settings.comparison_capture and answer.comparison is not None:
        made.append(comparison_capture(answer, settings))
    if settings.report:
        made.append(report(answer, settings))
    return made


def to_bytes(ds: Dataset) -> bytes:
    """Encode an object as a file (PS3.10)."""
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
