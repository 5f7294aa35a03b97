"""One answer -> its DICOM objects, and their bytes."""

from scp.config.results import ResultSettings
from scp.results.answer import Answer, ResultObject
from scp.results.captures import comparison_capture, finding_captures, summary_capture
from scp.results.presentation import presentation_state
from scp.results.report import report
from scp.results.segmentation import label_map, segmentation
from scp.results.uids import to_bytes as to_bytes  # noqa: PLC0414 -- part of this module


def make_objects(answer: Answer, settings: ResultSettings) -> list[ResultObject]:
    """Make every object that the settings ask for, all in the study of the current film.

    The same contents have the same UIDs, other contents others. The comparison capture
    exists only with a comparison; films that are not comparable have one too, and it says so.
    What shows a place exists only where there is one.
    """
    made = []
    if settings.summary_capture:
        made.append(summary_capture(answer, settings))
    made += finding_captures(answer, settings)
    if settings.comparison_capture and answer.comparison is not None:
        made.append(comparison_capture(answer, settings))
    if settings.report:
        made.append(report(answer, settings))
    # a presentation state is for grey films only: a scanned one may be stored in colour
    grey = answer.source.get("SamplesPerPixel", 1) == 1
    if settings.presentation_state and answer.outlined and grey:
        made.append(presentation_state(answer, settings))
    if settings.segmentation and answer.prediction.mapped:
        made.append(segmentation(answer, settings))
    if settings.label_map and answer.outlined:
        made.append(label_map(answer, settings))
    return made
