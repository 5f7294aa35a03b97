"""One answer, its objects as a receiver reads them, and what they say."""

import datetime as dt
import io

import pydicom
from answers import (
    AT,
    PIXELS,
    PRODUCT,
    received,
)
from invented import comparison, prediction

from inference.drawing.outlines import outlines
from inference.findings import FINDINGS
from inference.image.acquisition import acquisition_time
from inference.image.film import Film, View
from inference.image.grayscale import Window
from scp.config.results import ResultSettings
from scp.results.answer import Answer
from scp.results.objects import make_objects, to_bytes

SMALL = {"drawing": {"long_edge_px": 900}}
SETTINGS = ResultSettings.model_validate(SMALL)
EVERYTHING = ResultSettings.model_validate(SMALL | {"segmentation": True, "label_map": True})


def answer(
    source=None,
    *,
    found=None,
    prior=None,
    compared=None,
    notes=(),
    at=AT,
    product=PRODUCT,
    followed=None,
):
    source = received() if source is None else source
    if prior is not None and compared is None:
        compared = comparison()
    found = prediction() if found is None else found
    return Answer(
        source,
        Film(PIXELS, View.PA, voi=Window(2048, 4096)),
        found,
        outlines(found, PIXELS.shape),
        notes,
        at,
        product,
        prior_source=prior,
        comparison=compared,
        followed=followed or {},
        acquired=acquisition_time(source, dt.UTC),
        prior_acquired=None if prior is None else acquisition_time(prior, dt.UTC),
    )


def read_back(one, settings=None):
    """What a receiver reads of every object, by kind; a second of a kind is "kind-2"."""
    read = {}
    for made in make_objects(one, settings or SETTINGS):
        number = made.ds.InstanceNumber
        name = made.kind if number == 1 else f"{made.kind}-{number}"
        read[name] = pydicom.dcmread(io.BytesIO(to_bytes(made.ds)))
    return read


def tree(ds, depth=0):
    """Every content item of a report with its depth."""
    for item in ds.get("ContentSequence", []):
        yield depth, item
        yield from tree(item, depth + 1)


def named(ds, code):
    return [item for _, item in tree(ds) if item.ConceptNameCodeSequence[0].CodeValue == code]


def states(ds):
    """Present or below the threshold by the code of the finding, of the top-level panel."""
    panel = named(ds, "C0034375")[0]
    codes = {f.code.value for f in FINDINGS}
    return {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeMeaning
        for item in panel.ContentSequence
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue in codes
    }
