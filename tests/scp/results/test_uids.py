"""An object's UID stands for its bytes: other bytes have another, the same bytes the same."""

import datetime as dt
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from answers import AT, COLUMNS, EVERYTHING, PRODUCT, ROWS, prior_film, received
from films import chest
from invented import comparison, prediction

from inference.drawing.outlines import outlines
from inference.findings import ModelIdentity
from inference.image.film import read_film
from scp.config.results import ResultSettings
from scp.results.answer import Answer, NotAnalysed
from scp.results.kinds import KINDS
from scp.results.objects import make_objects, to_bytes
from scp.results.report import not_analysed_report

pytestmark = pytest.mark.xdist_group("uids")  # its fixtures are made once

SMALL = EVERYTHING | {"finding_captures": 2, "drawing": {"long_edge_px": 900}}
PRIOR = prior_film()


def made(source=None, *, found=None, prior=PRIOR, settings=None, **more):
    """Return the bytes of every object of an answer, by the object's UID."""
    source = received() if source is None else source
    found = found or prediction()
    film = read_film(source)
    asked = ResultSettings.model_validate(SMALL | (settings or {}))
    values = {
        "notes": ("A note.",),
        "answered_at": AT,
        "product": PRODUCT,
        "prior_source": prior,
        "comparison": None if prior is None else comparison(),
    }
    shown = outlines(found, film.pixels.shape, asked.regions)
    answer = Answer(source, film, found, shown, **(values | more))
    refused = NotAnalysed(
        source, "lateral", f"Seen so: {answer.notes}.", answer.answered_at, answer.product, MODEL
    )
    objects = [*make_objects(answer, asked), not_analysed_report(refused, asked)]
    return [(one.kind, one.ds.SOPInstanceUID, to_bytes(one.ds)) for one in objects]


MODEL = prediction().model


def otherwise(**more):
    return replace(prediction(), **more)


FOUND = prediction()
VARIANTS = {
    "nothing": {},
    "another serial number": {"product": replace(PRODUCT, serial="device-2")},
    "another release": {"product": replace(PRODUCT, version="0.2.0")},
    "another moment": {"answered_at": AT + dt.timedelta(hours=1)},
    "another zone": {"answered_at": AT.replace(tzinfo=dt.timezone(dt.timedelta(hours=5.5)))},
    "another note": {"notes": ("Another note.",)},
    "no prior": {"prior": None},
    "another prior": {"prior": prior_film(seed=9, study_time="120000")},
    "followed": {"followed": {"Effusion": "2.25.1"}},
    "other weights": {"found": otherwise(model=ModelIdentity("invented-net", "1.2", "cd" * 32))},
    "another threshold": {"found": otherwise(thresholds=FOUND.thresholds * np.float32(0.9))},
    "another prevalence": {
        "found": otherwise(probabilities=FOUND.probabilities * np.float32(0.99))
    },
    "other pixels": {"source": received(pixels=chest(ROWS, COLUMNS, seed=4))},
    "another name": {"source": received(patient_name="Corrected^Name")},
    "another sex": {"source": received(PatientSex="M")},
    "another accession number": {"source": received(AccessionNumber="A-2")},
    "another institution": {"source": received(InstitutionName="Elsewhere")},
    "another zone of the film": {"source": received(TimezoneOffsetFromUTC="+0530")},
    "another class of report": {"settings": {"report_class": "comprehensive"}},
    "adoptable outlines": {"settings": {"adoptable_outlines": True}},
    "one capture less": {"settings": {"finding_captures": 1}},
    "another series number": {"settings": {"first_series_number": 8001}},
    "another label": {"settings": {"drawing": {"long_edge_px": 900, "label": "Only a test"}}},
    "another size": {"settings": {"drawing": {"long_edge_px": 1000}}},
    "tighter outlines": {"settings": {"regions": {"threshold": 0.8}}},
    "thresholds of no finding that is": {"settings": {"thresholds": {"Hernia": 0.4}}},
}


@pytest.fixture(scope="module")
def all_made():
    return {name: made(**variant) for name, variant in VARIANTS.items()}


def test_other_bytes_have_another_uid_and_the_same_bytes_the_same(all_made):
    by_bytes, by_uid = {}, {}
    for name, objects in all_made.items():
        for kind, uid, data in objects:
            assert by_bytes.setdefault(data, uid) == uid, f"{kind}: {name}"
            assert by_uid.setdefault(uid, data) == data, f"{kind}: {name}"
    assert len(by_uid) > 100


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("another class of report", {"report", "not-analysed"}),
        ("adoptable outlines", {"report"}),
        ("thresholds of no finding that is", set()),
    ],
)
def test_a_setting_makes_other_objects_only_of_the_kinds_that_it_shapes(all_made, name, kept):
    before = {(kind, uid) for kind, uid, _ in all_made["nothing"]}
    after = {(kind, uid) for kind, uid, _ in all_made[name]}
    assert {kind for kind, _ in after - before} == kept


def test_fewer_pictures_of_single_findings_are_the_first_of_the_same(all_made):
    many, one = (
        [uid for kind, uid, _ in all_made[name] if kind == "finding-capture"]
        for name in ("nothing", "one capture less")
    )
    assert many[:1] == one
    assert len(many) == 2


def test_a_corrected_header_makes_another_object_of_every_kind(all_made):
    before = {uid for _, uid, _ in all_made["nothing"]}
    for name in ("another name", "another accession number", "another serial number"):
        assert not before & {uid for _, uid, _ in all_made[name]}, name


def test_objects_of_one_study_never_share_a_uid(all_made):
    uids = [uid for _, uid, _ in all_made["nothing"]]
    assert all(one != other for one, other in combinations(uids, 2))
    assert {kind for kind, _, _ in all_made["nothing"]} == {kind.name for kind in KINDS}
