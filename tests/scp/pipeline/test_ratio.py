"""The cardiothoracic ratio in a film's answer: stated with its error, or withheld with a reason."""

import pytest
from bench import open_bench
from films import make_film_ds
from hearts import ratio_reader, upright
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.index.patients import patient_films
from scp.index.schema.tables import Patient

ADULT = {"PatientAge": "064Y"}


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path, tiny_bundle) as bench:
        reader = bench.answerer.reader
        reader.ratio, reader.check = ratio_reader(), upright()
        yield bench


def measured(report):
    """Return every number of a report by its code: value, unit, and the points it lies on."""
    found = {}
    for element in report.iterall():
        if element.keyword != "ContentSequence":
            continue
        for item in element.value:
            if item.get("ValueType") == "NUM" and "ContentSequence" in item:
                (value,) = item.MeasuredValueSequence
                (unit,) = value.MeasurementUnitsCodeSequence
                (region,) = item.ContentSequence
                code = item.ConceptNameCodeSequence[0].CodeValue
                points = [float(x) for x in region.GraphicData]
                found[code] = float(value.NumericValue), unit.CodeValue, points
    return found


def test_an_adults_pa_film_is_answered_with_ratio_lines_and_error(bench):
    row = bench.answer(bench.take(make_film_ds(**ADULT)))
    assert row.ratio.value == pytest.approx(0.28 / 0.74, abs=0.01)
    assert (row.ratio.error, row.ratio.films, row.ratio.withheld) == (0.012, 50, "")
    said = measured(bench.result(row, "report"))
    value, unit, ends = said["ct-ratio"]
    assert (value, unit) == (pytest.approx(row.ratio.value, abs=0.001), "{ratio}")
    heart, chest_width = said["heart-width"], said["chest-width"]
    assert heart[0] / chest_width[0] == pytest.approx(value, abs=0.002)
    assert ends == [*heart[2], *chest_width[2]]
    assert heart[2][0] == pytest.approx(0.42 * 224, abs=2)  # column, then row
    assert heart[2][1] == heart[2][3] == pytest.approx(0.63 * 256, abs=4)
    assert row.ratio.meaning in bench.report(row)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"view": "AP"}, "PA films alone"),
        ({"PatientAge": None, "PatientBirthDate": None}, "age is not known"),
    ],
)
def test_a_ratio_that_may_not_be_stated_is_withheld_and_the_answer_says_why(bench, case, why):
    row = bench.answer(bench.take(make_film_ds(**(ADULT | case))))
    assert row.ratio.value is None
    assert why in row.ratio.withheld
    assert "ct-ratio" not in measured(bench.result(row, "report"))
    assert row.ratio.meaning in bench.report(row)


def test_a_film_that_looks_mirrored_has_no_ratio(bench):
    bench.answerer.reader.check = upright(mirrored=True)
    row = bench.answer(bench.take(make_film_ds(**ADULT)))
    assert "mirrored" in row.ratio.withheld


def test_a_bundle_without_a_heart_says_nothing_of_it(bench):
    bench.answerer.reader.ratio = None
    row = bench.answer(bench.take(make_film_ds(**ADULT)))
    assert row.ratio is None
    assert not any("ardiothoracic" in line for line in bench.report(row))


def test_a_header_that_is_corrected_allows_the_ratio_that_it_forbade(bench):
    ds = make_film_ds(PatientAge=None, PatientBirthDate=None)
    uid = bench.take(ds)
    assert "age is not known" in bench.answer(uid).ratio.withheld
    ds.PatientBirthDate = "19600101"
    bench.take(ds)
    bench.again()
    row = bench.row(uid)
    assert row.ratio.value
    assert "ct-ratio" in measured(bench.result(row, "report"))


def test_the_trend_has_the_ratios_that_are_stated(bench):
    days = (("20230101", {}), ("20240101", {"view": "AP"}), ("20240601", {}))
    for seed, (day, case) in enumerate(days):
        bench.answer(bench.take(make_film_ds(study_date=day, seed=seed, **(ADULT | case))))
    with Session(bench.stores.engine) as session:
        (patient,) = session.scalars(select(Patient)).all()
        points = patient_films(session, patient.id, 9, bench.answerer.reader.zone).trend.points
    assert [bool(point.ratio) for point in points] == [True, False, True]
