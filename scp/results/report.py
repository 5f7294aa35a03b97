"""Findings as a structured report: Comprehensive 3D SR, TID 1500 Measurement Report.

Two rules come from viewers (docs/design.md, "OHIF"): a measurement group without a region takes
OHIF down when the report is opened, and so does a report without the containers Image Library
and Imaging Measurements. Findings that have no region therefore stand in the container
Qualitative Evaluations only, as all 14 do, and an Imaging Measurements container without groups
stays there empty.

References
----------
PS3.16 TID 1500, TID 1501, TID 300, TID 320, TID 4019; PS3.3 A.35.13.
"""

from collections.abc import Iterator

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from inference.comparison import Comparison, FindingChange
from inference.findings import FINDINGS, PRIVATE_SCHEME, WITHHELD, Change, Concept, FloatArray
from inference.panels import percent
from inference.regions import outline
from scp.results.answer import Answer, ResultObject
from scp.results.captures import study_day
from scp.results.envelope import Envelope
from scp.results.identity import derive_uid
from scp.results.settings import ResultSettings

REPORT = "report"

ENGLISH = Code("en-US", "RFC5646", "English (United States)")
CHEST_XRAY = Code("399208008", "SCT", "Plain chest X-ray")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
PRESENCE = Code("121052", "DCM", "Presence of property")
FINDING = Code("121071", "DCM", "Finding")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
DIFFERENCE = Code("111049", "DCM", "Qualitative Difference")

# DICOM's dictionaries know a change of size, not of a finding's certainty: those stay private.
CHANGES = {
    Change.NEW: Code("129721008", "SCT", "New finding"),
    Change.INCREASED: Code("increased", PRIVATE_SCHEME, "Finding more certain than before"),
    Change.UNCHANGED: Code("129723006", "SCT", "No significant changes in the finding"),
    Change.DECREASED: Code("decreased", PRIVATE_SCHEME, "Finding less certain than before"),
    Change.RESOLVED: Code("resolved", PRIVATE_SCHEME, "Finding no longer present"),
    Change.UNCERTAIN: Code("373068000", "SCT", "Undetermined"),
}


def report(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the structured report of all 14 findings, with outlines of the positive ones."""
    envelope = Envelope(answer, REPORT)
    ds = sr.Comprehensive3DSR(
        evidence=[_anonymous(film) for film in envelope.films],
        content=_frame(envelope),
        is_complete=True,
        is_final=False,
        is_verified=False,
        content_qualification="RESEARCH",
        coding_schemes=[_private_scheme(answer)],
        content_date=envelope.moment.date(),
        content_time=envelope.moment.time(),
        **envelope.arguments(settings.first_series_number + 2, "AI chest X-ray report (RUO)"),
    )
    # Only now: the constructor copies its content twice, 0.1 s for 14 outlines. Every image that
    # is referred to is the current film, which is evidence.
    ds.ContentSequence.append(_measurements(envelope, settings))
    ds.ContentSequence.append(_evaluations(envelope, settings))
    envelope.seal(ds)
    return ResultObject(REPORT, ds)


def _anonymous(film: Dataset) -> Dataset:
    """Return what highdicom needs of a film, without the patient.

    highdicom judges names and dates and prints them into warnings; `Envelope.seal` writes the
    source's own afterwards. Modality OT keeps it from reading elements that a CR may lack.
    """
    stand_in = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(stand_in, keyword, film[keyword].value)
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(stand_in, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(stand_in, keyword, "")
    stand_in.Rows, stand_in.Columns = film.Rows, film.Columns
    stand_in.Modality = "OT"
    return stand_in


def _private_scheme(answer: Answer) -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Private codes of hilum",
        uid=derive_uid("coding scheme", PRIVATE_SCHEME),
        responsible_organization=answer.product.manufacturer,
    )


def _frame(envelope: Envelope) -> Dataset:
    """Build the document without its findings: context, procedure, image library."""
    root: Dataset = sr.ContainerContentItem(
        name=codes.DCM.ImagingMeasurementReport, template_id="1500"
    )
    content = sr.ContentSequence()
    content.extend(sr.LanguageOfContentItemAndDescendants(ENGLISH))
    content.extend(_observer(envelope.answer))
    content.append(
        sr.CodeContentItem(codes.DCM.ProcedureReported, CHEST_XRAY, Relation.HAS_CONCEPT_MOD)
    )
    content.extend(sr.ImageLibrary([_anonymous(envelope.current)]))
    root.ContentSequence = content
    return root


def _observer(answer: Answer) -> sr.ObservationContext:
    product = answer.product
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derive_uid("device", product.manufacturer, product.model_name, product.serial),
        name=product.model_name,
        manufacturer_name=product.manufacturer,
        model_name=product.model_name,
        serial_number=product.serial,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
    )


def _measurements(envelope: Envelope, settings: ResultSettings) -> sr.ContainerContentItem:
    container = _container(codes.DCM.ImagingMeasurements)
    groups = sr.ContentSequence()
    prediction, film = envelope.answer.prediction, envelope.current
    for i in range(len(FINDINGS)):
        if prediction.positive[i]:
            ring = outline(prediction.heatmaps[i], film.Rows, film.Columns, settings.regions)
            if ring is not None:
                groups.extend(_group(envelope, i, ring))
    if groups:
        container.ContentSequence = groups
    return container


def _group(
    envelope: Envelope, i: int, ring: FloatArray
) -> sr.MeasurementsAndQualitativeEvaluations:
    """Say one finding with its outline; OHIF draws it with the comment beside it."""
    answer, finding = envelope.answer, FINDINGS[i]
    probability = float(answer.prediction.probabilities[i])
    coordinates = sr.CoordinatesForMeasurement(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=ring,
        source_image=sr.SourceImageForRegion.from_source_image(envelope.current),
    )
    certainty = sr.Measurement(
        name=CERTAINTY,
        value=round(100 * probability, 1),
        unit=codes.UCUM.Percent,
        referenced_coordinates=[coordinates],  # the NUM's only child: OHIF reads no list here
    )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(answer, finding.label, f"AI {finding.name}"),
        finding_type=_code(finding.code),
        finding_sites=[sr.FindingSite(anatomic_location=_code(finding.site))],
        algorithm_id=_algorithm(answer),
        measurements=[certainty],
        qualitative_evaluations=[sr.QualitativeEvaluation(name=PRESENCE, value=PRESENT)],
    )
    group[0].ContentSequence.append(
        _text(COMMENT, f"{finding.name} {100 * probability:.0f} % (AI)")
    )
    return group


def _tracking(answer: Answer, label: str, identifier: str) -> sr.TrackingIdentifier:
    model = answer.prediction.model
    parts = (answer.source.SOPInstanceUID, model.name, model.version, model.sha256, label)
    return sr.TrackingIdentifier(uid=derive_uid("tracking", *parts), identifier=identifier)


def _algorithm(answer: Answer) -> sr.AlgorithmIdentification:
    model = answer.prediction.model
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[_bundle(answer)],
        manufacturer=answer.product.manufacturer,
        family=ARTIFICIAL_INTELLIGENCE,
    )


def _bundle(answer: Answer) -> str:
    return f"bundle SHA-256 {answer.prediction.model.sha256}"


def _evaluations(envelope: Envelope, settings: ResultSettings) -> sr.ContainerContentItem:
    container = _container(QUALITATIVE_EVALUATIONS)
    answer = envelope.answer
    items = sr.ContentSequence()
    items.append(_text(COMMENT, settings.drawing.label))
    found = bool(answer.prediction.positive.any())
    items.append(
        sr.CodeContentItem(SUMMARY, WITH_FINDINGS if found else WITHOUT_FINDINGS, Relation.CONTAINS)
    )
    items.extend(_presence(answer))
    items.extend(_said_in_words(answer))
    items.extend(_said_of_the_prior(envelope))
    items.extend(_text(COMMENT, note) for note in answer.notes)
    items.append(_text(ALGORITHM_NAME, answer.prediction.model.name))
    items.append(_text(ALGORITHM_VERSION, answer.prediction.model.version))
    items.append(_text(ALGORITHM_PARAMETERS, _bundle(answer)))
    container.ContentSequence = items
    return container


def _presence(answer: Answer) -> Iterator[sr.CodeContentItem]:
    changes = _known_changes(answer.comparison)
    for i, finding in enumerate(FINDINGS):
        state = PRESENT if answer.prediction.positive[i] else ABSENT
        item = sr.CodeContentItem(_code(finding.code), state, Relation.CONTAINS)
        if changes:
            change = sr.CodeContentItem(DIFFERENCE, changes[i], Relation.HAS_PROPERTIES)
            item.ContentSequence = sr.ContentSequence([change])
        yield item


def _known_changes(comparison: Comparison | None) -> list[Code]:
    if comparison is None or not comparison.comparable:
        return []
    return [CHANGES[change.change] for change in comparison.changes]


def _said_in_words(answer: Answer) -> Iterator[sr.TextContentItem]:
    prediction = answer.prediction
    for i, finding in enumerate(FINDINGS):
        state = PRESENT if prediction.positive[i] else ABSENT
        withheld = f"; {WITHHELD}" if prediction.withheld[i] else ""
        yield _text(
            FINDING,
            f"{finding.name}: {percent(prediction.probabilities[i])} ({state.meaning}; "
            f"threshold {percent(prediction.thresholds[i])}{withheld})",
        )


def _said_of_the_prior(envelope: Envelope) -> Iterator[sr.TextContentItem]:
    comparison = envelope.answer.comparison
    if comparison is None or envelope.prior is None:
        return
    day = study_day(envelope.prior)
    prior = f"the prior film of {day.isoformat()}" if day else "the prior film (date not stated)"
    if not comparison.comparable:
        yield _text(COMMENT, f"Not comparable with {prior}: {comparison.reason}")
        return
    yield _text(
        COMMENT,
        f"Compared with {prior}: correlation {comparison.quality:.2f}, "
        f"structural similarity {comparison.ssim:.2f} after alignment",
    )
    if comparison.reason:
        yield _text(COMMENT, comparison.limited)
    for finding, change in zip(FINDINGS, comparison.changes, strict=True):
        yield _text(
            DIFFERENCE,
            f"{finding.name}: {change.change} "
            f"({percent(change.prior)} -> {percent(change.current)}){_confidence(change)}",
        )


def _confidence(change: FindingChange) -> str:
    if change.confidence is None or not change.called:
        return ""
    return f"; {100 * change.confidence:.0f} of 100 film pairs without change differ less"


def _text(name: Code, value: str) -> sr.TextContentItem:
    return sr.TextContentItem(name, value, Relation.CONTAINS)


def _code(concept: Concept) -> Code:
    return Code(concept.value, concept.scheme, concept.meaning)


def _container(name: Code) -> sr.ContainerContentItem:
    return sr.ContainerContentItem(name=name, relationship_type=Relation.CONTAINS)
