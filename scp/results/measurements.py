"""The findings that have a place: one measurement group each, with region and certainty.

The layout is the one that OHIF draws (docs/results.md): the region hangs below the number,
and what is written beside it on the film is the comment.

References
----------
PS3.16 TID 1501, TID 300, TID 320, TID 4019.
"""

from highdicom import sr
from pydicom.sr.codedict import codes

from inference.findings import FINDINGS, FloatArray
from scp.results.answer import Answer
from scp.results.codes import (
    ALGORITHM_NAME,
    ALGORITHM_PARAMETERS,
    ALGORITHM_VERSION,
    ARTIFICIAL_INTELLIGENCE,
    CERTAINTY,
    CHANGES,
    COMMENT,
    DIFFERENCE,
    PRESENCE,
    PRESENT,
    code_of,
    container,
    text,
)
from scp.results.envelope import Envelope
from scp.results.tracking import tracking_uid

# by this name OHIF knows an outline that a reader may take over as a measurement of their own
_ADOPTABLE = "Cornerstone3DTools@^0.1.0:PlanarFreehandROI"


def measurements(answer: Answer, envelope: Envelope) -> sr.ContainerContentItem:
    """Make the container of all findings that have an outline; there may be none."""
    made = container(codes.DCM.ImagingMeasurements)
    groups = sr.ContentSequence()
    for i, ring in enumerate(answer.outlines):
        if ring is not None:
            groups.extend(_group(answer, envelope, i, ring))
    if groups:
        made.ContentSequence = groups
    return made


def label_of(answer: Answer, finding: int) -> str:
    """Return what stands beside an outline on the film: "Nodule 93 % (AI)"."""
    return f"{FINDINGS[finding].name} {100 * answer.prediction.probabilities[finding]:.0f} % (AI)"


def algorithm_items(answer: Answer) -> list[sr.TextContentItem]:
    """Name the network outside of groups, where TID 4019 has no place."""
    model = answer.model
    return [
        text(ALGORITHM_NAME, model.name),
        text(ALGORITHM_VERSION, model.version),
        text(ALGORITHM_PARAMETERS, _bundle(answer)),
    ]


def _group(
    answer: Answer, envelope: Envelope, i: int, ring: FloatArray
) -> sr.MeasurementsAndQualitativeEvaluations:
    finding = FINDINGS[i]
    coordinates = sr.CoordinatesForMeasurement(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=ring,
        source_image=sr.SourceImageForRegion.from_source_image(envelope.current),
    )
    certainty = sr.Measurement(
        name=CERTAINTY,
        value=round(100 * float(answer.prediction.probabilities[i]), 1),
        unit=codes.UCUM.Percent,
        referenced_coordinates=[coordinates],  # the NUM's only child: OHIF reads no list here
    )
    identifier = _ADOPTABLE if envelope.settings.adoptable_outlines else f"AI {finding.name}"
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
    said = [sr.QualitativeEvaluation(name=PRESENCE, value=PRESENT)]
    change = answer.change(i)
    if change is not None:
        said.append(sr.QualitativeEvaluation(name=DIFFERENCE, value=CHANGES[change.change]))
    return said


def _algorithm(answer: Answer) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=answer.model.name,
        version=answer.model.version,
        parameters=[_bundle(answer)],
        manufacturer=answer.product.manufacturer,
        family=ARTIFICIAL_INTELLIGENCE,
    )


def _bundle(answer: Answer) -> str:
    return f"bundle SHA-256 {answer.model.sha256}"
