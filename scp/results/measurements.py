"""The findings that have a place: one measurement group each, with region and certainty.

A report without any such finding has one group whose region is the frame of the film, for a report
without a region takes OHIF down.

The layout is the one that OHIF draws (docs/results.md): the region hangs below the number,
and what is written beside it on the film is the comment.

References
----------
PS3.16 TID 1501, TID 300, TID 320, TID 4019.
"""

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from inference.drawing.outlines import rectangle
from inference.findings import FINDINGS, FloatArray
from inference.image.header import size
from inference.statements import beside_outline, outcome_on_film
from scp.results.answer import Answer, Statement
from scp.results.codes import (
    ALGORITHM_NAME,
    ALGORITHM_PARAMETERS,
    ALGORITHM_VERSION,
    ARTIFICIAL_INTELLIGENCE,
    CERTAINTY,
    CHANGES,
    COMMENT,
    DIFFERENCE,
    FINDINGS_COUNTED,
    LOOKED_FOR,
    PRESENCE,
    PRESENT,
    WITH_FINDINGS,
    WITHOUT_FINDINGS,
    code_of,
    container,
    text,
)
from scp.results.envelope import CommonModules, minimal_reference
from scp.results.identity import derive_uid
from scp.results.ratio import ratio_group
from scp.results.tracking import tracking_identifier, tracking_uid

# by this name OHIF knows an outline that a reader may take over as a measurement of their own
_ADOPTABLE = "Cornerstone3DTools@^0.1.0:PlanarFreehandROI"


def measurements(answer: Answer, modules: CommonModules) -> sr.ContainerContentItem:
    """Make the container of all findings that have an outline, or of the outcome of the film."""
    ratio = ratio_group(answer, modules, _algorithm(answer))
    if not answer.outlined:
        assessed = int(answer.prediction.assessed.sum())
        made = outcome(modules, *_outcome(answer), LOOKED_FOR, assessed)
        if ratio is not None and "ContentSequence" in made:
            made.ContentSequence.extend(ratio)
        return made
    groups = sr.ContentSequence()
    for i, ring in answer.outlined:
        groups.extend(_group(answer, modules, i, ring))
    groups.extend(ratio or ())
    return container(codes.DCM.ImagingMeasurements, groups)


def outcome(
    modules: CommonModules,
    what: Code,
    comment: str,
    counted: Code,
    looked_for: int = len(FINDINGS),
) -> sr.ContainerContentItem:
    """Make the container of a report without outlines: one group, around the whole film.

    Without a group where the film's size is not stated. ``looked_for`` is the number of findings
    that are counted.
    """
    film, statement = modules.current, modules.statement
    if not all(size(film)):
        return container(codes.DCM.ImagingMeasurements)
    number = sr.Measurement(
        name=counted,
        value=looked_for,
        unit=FINDINGS_COUNTED,
        referenced_coordinates=[_region(film, _frame(*size(film)))],
    )
    uid = derive_uid("outcome", statement.source.SOPInstanceUID, statement.model.sha256)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier="AI outcome"),
        finding_type=what,
        algorithm_id=_algorithm(statement),
        measurements=[number],
    )
    group[0].ContentSequence.append(text(COMMENT, comment))
    return container(codes.DCM.ImagingMeasurements, group)


def _outcome(answer: Answer) -> tuple[Code, str]:
    count = int(answer.prediction.positive.sum())
    return WITH_FINDINGS if count else WITHOUT_FINDINGS, outcome_on_film(
        count, answer.prediction.not_assessed
    )


def _frame(rows: int, columns: int) -> FloatArray:
    """Return the edge of a film, a little inside, closed; (5, 2) as outlines are."""
    x, y = 0.01 * columns, 0.01 * rows
    return np.round(rectangle(x, y, columns - x, rows - y), 2)


def _region(film: Dataset, ring: FloatArray) -> sr.CoordinatesForMeasurement:
    return sr.CoordinatesForMeasurement(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=ring,
        source_image=sr.SourceImageForRegion.from_source_image(minimal_reference(film)),
    )


def label_of(answer: Answer, finding: int) -> str:
    """Return the text beside an outline on the film, which says where its place is not verified."""
    found = answer.prediction
    name = FINDINGS[finding].name
    label = beside_outline(name, found.probabilities[finding], found.thresholds[finding])
    return label + found.place_of(finding)


def algorithm_items(answer: Answer) -> list[sr.TextContentItem]:
    """Name the network outside of groups, where TID 4019 has no place."""
    model = answer.model
    return [
        text(ALGORITHM_NAME, model.name),
        text(ALGORITHM_VERSION, model.version),
        text(ALGORITHM_PARAMETERS, _bundle(answer)),
    ]


def _group(
    answer: Answer, modules: CommonModules, i: int, ring: FloatArray
) -> sr.MeasurementsAndQualitativeEvaluations:
    finding = FINDINGS[i]
    certainty = sr.Measurement(
        name=CERTAINTY,
        value=round(100 * float(answer.prediction.probabilities[i]), 1),
        unit=codes.UCUM.Percent,
        # the NUM's only child: OHIF reads no list here
        referenced_coordinates=[_region(modules.current, ring)],
    )
    identifier = _ADOPTABLE if modules.settings.adoptable_outlines else tracking_identifier(i)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking_uid(answer, i), identifier=identifier
        ),
        finding_type=code_of(finding.code),
        finding_sites=[sr.FindingSite(anatomic_location=code_of(finding.site))],
        algorithm_id=_algorithm(answer),
        measurements=[certainty],
        qualitative_evaluations=_evaluations(answer, i),
    )
    group[0].ContentSequence.append(text(COMMENT, label_of(answer, i)))
    return group


def _evaluations(answer: Answer, i: int) -> list[sr.QualitativeEvaluation]:
    made = [sr.QualitativeEvaluation(name=PRESENCE, value=PRESENT)]
    change = answer.change(i)
    if change is not None:
        made.append(sr.QualitativeEvaluation(name=DIFFERENCE, value=CHANGES[change.change]))
    return made


def _algorithm(statement: Statement) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=statement.model.name,
        version=statement.model.version,
        parameters=[_bundle(statement)],
        manufacturer=statement.product.manufacturer,
        family=ARTIFICIAL_INTELLIGENCE,
    )


def _bundle(statement: Statement) -> str:
    return f"bundle SHA-256 {statement.model.sha256}"
