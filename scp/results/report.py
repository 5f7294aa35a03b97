"""Findings as a structured report: TID 1500 Measurement Report.

Two rules come from viewers (docs/results.md): a measurement group without a region takes OHIF down
when the report is opened, and so does a report without a group. Findings that have no region
therefore are in the container Qualitative Evaluations only, as all 14 do, and a report without
an outline has one group around the whole film.

References
----------
PS3.16 TID 1500; PS3.3 A.35.13 (Comprehensive 3D SR), A.35.3 (Comprehensive SR), A.35.2 (Enhanced
SR).
"""

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from inference.findings import PRIVATE_SCHEME
from scp.config.results import ReportClass, ResultSettings
from scp.results.answer import Answer, NotAnalysed, ResultObject
from scp.results.codes import CHEST_XRAY, ENGLISH, NOT_DONE, NOT_LOOKED_FOR
from scp.results.envelope import CommonModules, minimal_reference
from scp.results.evaluations import evaluations, not_analysed_evaluations
from scp.results.identity import Product, derive_uid
from scp.results.kinds import NOT_ANALYSED, REPORT
from scp.results.measurements import measurements, outcome
from scp.results.uids import named

_CLASSES = {
    ReportClass.COMPREHENSIVE_3D: sr.Comprehensive3DSR,
    ReportClass.COMPREHENSIVE: sr.ComprehensiveSR,
    ReportClass.ENHANCED: sr.EnhancedSR,
}


def report(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the structured report of all 14 findings, with outlines of the positive ones."""
    modules = CommonModules(answer, REPORT, settings)
    ds = _document(modules)
    # Only now: the constructor copies its content twice, 0.1 s for 14 outlines. Every image that
    # is referred to is the current film, which is evidence.
    ds.ContentSequence.append(measurements(answer, modules))
    ds.ContentSequence.append(evaluations(answer, settings.drawing.label))
    return named(REPORT, ds)[0]


def not_analysed_report(statement: NotAnalysed, settings: ResultSettings) -> ResultObject:
    """Make a report that says that a film was not read, and why."""
    modules = CommonModules(statement, NOT_ANALYSED, settings)
    ds = _document(modules)
    comment = f"NOT ANALYSED (AI): {statement.detail}"
    ds.ContentSequence.append(outcome(modules, NOT_DONE, comment, NOT_LOOKED_FOR))
    ds.ContentSequence.append(not_analysed_evaluations(statement, settings.drawing.label))
    return named(NOT_ANALYSED, ds)[0]


def _document(modules: CommonModules) -> Dataset:
    """Make a report without its findings; it names the report that it takes the place of.

    References
    ----------
    PS3.3 C.17.2 (Predecessor Documents Sequence).
    """
    before = modules.statement.edition.predecessor
    ds: Dataset = _CLASSES[modules.settings.report_class](
        evidence=[minimal_reference(film) for film in modules.films],
        content=_frame(modules),
        is_complete=True,
        is_final=False,
        is_verified=False,
        content_qualification="RESEARCH",
        coding_schemes=[_private_scheme(modules.statement.product)],
        content_date=modules.moment.date(),
        content_time=modules.moment.time(),
        previous_versions=None if before is None else [before],
        **modules.arguments(),
    )
    modules.add_common_modules(ds)
    return ds


def _private_scheme(product: Product) -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Private codes of hilum",
        uid=derive_uid("coding scheme", PRIVATE_SCHEME),
        responsible_organization=product.manufacturer,
    )


def _frame(modules: CommonModules) -> Dataset:
    """Build the content up to the findings: context, procedure, image library."""
    root: Dataset = sr.ContainerContentItem(
        name=codes.DCM.ImagingMeasurementReport, template_id="1500"
    )
    content = sr.ContentSequence()
    content.extend(sr.LanguageOfContentItemAndDescendants(ENGLISH))
    content.extend(_observer(modules.statement.product))
    content.append(
        sr.CodeContentItem(codes.DCM.ProcedureReported, CHEST_XRAY, Relation.HAS_CONCEPT_MOD)
    )
    content.extend(_image_library(minimal_reference(modules.current)))
    root.ContentSequence = content
    return root


def _image_library(film: Dataset) -> sr.ImageLibrary:
    """List the film, without a size where it states none."""
    if "Rows" in film and "Columns" in film:
        return sr.ImageLibrary([film])
    film.Rows = film.Columns = 1  # highdicom wants a size
    library = sr.ImageLibrary([film])
    (group,) = library[0].ContentSequence
    for item in group.ContentSequence:
        content = item.get("ContentSequence") or []
        item.ContentSequence = [about for about in content if about.ValueType != "NUM"]
    return library


def _observer(product: Product) -> sr.ObservationContext:
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
