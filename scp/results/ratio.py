"""The cardiothoracic ratio: one measurement group with both widths, each along its line.

Each number has one region below it, for OHIF reads no list there: the widths have their lines, the
ratio the four ends of both. Widths are in pixels: no film says what an object in its plane
measures without its magnification.

References
----------
PS3.16 TID 1501, TID 300, TID 320; CID 7181 (ratio).
"""

import numpy as np
from highdicom import sr

from inference.cardiothoracic import Line
from inference.findings import HEART, FloatArray
from scp.results.answer import Answer
from scp.results.codes import (
    CARDIOTHORACIC_RATIO,
    CHEST_WIDTH,
    COMMENT,
    HEART_WIDTH,
    PIXELS,
    RATIO_UNIT,
    code_of,
    text,
)
from scp.results.envelope import CommonModules, minimal_reference
from scp.results.identity import derive_uid


def ratio_group(
    answer: Answer, modules: CommonModules, algorithm: sr.AlgorithmIdentification
) -> sr.ContentSequence | None:
    """Make the group of the ratio; None where none is stated."""
    statement = answer.prediction.ratio
    if statement is None or statement.stated is None:
        return None
    heart, chest = statement.stated.heart, statement.stated.chest
    uid = derive_uid("cardiothoracic ratio", answer.source.SOPInstanceUID, answer.model.sha256)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier="AI cardiothoracic ratio"),
        finding_type=CARDIOTHORACIC_RATIO,
        finding_sites=[sr.FindingSite(anatomic_location=code_of(HEART))],
        algorithm_id=algorithm,
        measurements=[
            sr.Measurement(
                name=CARDIOTHORACIC_RATIO,
                value=round(statement.stated.value, 3),
                unit=RATIO_UNIT,
                referenced_coordinates=[
                    _region(modules, "MULTIPOINT", np.concatenate([_ends(heart), _ends(chest)]))
                ],
            ),
            *(
                sr.Measurement(
                    name=name,
                    value=round(line.length, 1),
                    unit=PIXELS,
                    referenced_coordinates=[_region(modules, "POLYLINE", _ends(line))],
                )
                for name, line in ((HEART_WIDTH, heart), (CHEST_WIDTH, chest))
            ),
        ],
    )
    group[0].ContentSequence.append(text(COMMENT, statement.sentence))
    return group


def _ends(line: Line) -> FloatArray:
    """Return the ends of a line, (2, 2), column then row."""
    return np.round(np.array([(line.left, line.row), (line.right, line.row)]), 2)


def _region(modules: CommonModules, kind: str, points: FloatArray) -> sr.CoordinatesForMeasurement:
    return sr.CoordinatesForMeasurement(
        graphic_type=sr.GraphicTypeValues[kind],
        graphic_data=points,
        source_image=sr.SourceImageForRegion.from_source_image(minimal_reference(modules.current)),
    )
