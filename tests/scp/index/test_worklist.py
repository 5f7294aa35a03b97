"""The worklist's search, order, pages and words: SQLite and PostgreSQL alike."""

import random
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from films import made_uid, make_film_ds
from hypothesis import given
from hypothesis import strategies as st
from invented_films import NOW, Invented
from pydicom import Dataset
from sqlalchemy.orm import Session

from inference.findings import LABELS, Change
from scp.archive import Archive, Stored
from scp.commands.reindex import Reindexed, count, reindex
from scp.config.storage import ArchiveSettings
from scp.config.worklist import WorklistSettings
from scp.dimse.request import Request
from scp.index import films, registration
from scp.index.registration import identify
from scp.index.schema.tables import (
    DeliveryState,
    FilmFinding,
    FilmState,
    Instance,
    SearchWord,
    Study,
)
from scp.index.worklist import search
from scp.index.worklist.entries import set_words, update_entry
from scp.index.worklist.query import InvalidQuery, Key, Order, WorklistQuery, parse_terms
from scp.index.worklist.search import worklist
from scp.index.worklist.urgency import UNKNOWN, WEIGHTS, urgency
from scp.matching.folding import LONGEST_WORD, MOST_WORDS, film_words, fold, is_short, words
from scp.matching.person import Person
from scp.pipeline.intake import Intake
from scp.pipeline.queue import Jobs

URGENT = WorklistQuery(order=Order.URGENT)


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        yield session


@pytest.fixture
def invent(session, tmp_path):
    return Invented(session, Archive(tmp_path, ArchiveSettings(reserve_mb=0)))


@pytest.fixture(params=[0, 5000], ids=["as if for many films", "as for few"])
def few(request, monkeypatch):
    """Each condition once in each of the two ways in which films are looked for."""
    monkeypatch.setattr(search, "FEW", request.param)


def uids(page):
    return [film.uid for film in page.films]


def found(session, wanted=None, **more):
    return uids(worklist(session, wanted or WorklistQuery(**more), 50))


def told(invent, film, probabilities=None, changes=None):
    """Say something of a film, as the worker does; changes are since a prior of its own."""
    analysis = invent.analysis(film, probabilities)
    if changes:
        prior = invent.analysis(invent.film(age_s=1e6, state=FilmState.FETCHED))
        invent.comparison(analysis, prior, {label: (0.6, c) for label, c in changes.items()})
    update_entry(invent.session, film, analysis, WorklistSettings())
    return film.uid


def named(invent, name, accession="", **more):
    film = invent.film(**more)
    set_words(invent.session, film, Person(name), accession)
    return film.uid


# -- folding


@pytest.mark.parametrize(
    ("kept", "typed_in"),
    [
        ("Müller^Hans", "müller"),
        ("Müller^Hans", "Muller"),
        ("MULLER^HANS", "müller"),
        ("Mu\u0308ller^Hans", "MÜLLER^HANS"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada ta"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "やまだ たろう"),
        ("やまだ^たろう", "ヤマダ"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동"),
        ("Иванова^Алёна", "иванова алена"),
        ("Παπαδόπουλος^Γιώργος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
        ("Nguyễn^Thị Minh", "nguyen thi"),
        ("Łukasiewicz^Jan", "lukasiewicz"),
        ("Sørensen^Åse", "sorensen ase"),
        ("Straße^Ida", "STRASSE"),
        ("İnce^Işık", "ince isik"),
        ("نُور^محمّد", "نور محمد"),
        ("كـــريم", "كريم"),
        ("שָׁלוֹם", "שלום"),
        ("शर्मा^राहुल", "शर्मा"),
        ("สมชาย^ใจดี", "สมชายใจดี"),
        ("O'Neil^Sinéad", "o’neil sinead"),
        ("Müller-Lüdenscheid^Karl", "lüdenscheid"),
        ("Buc^Jérôme", "jerome buc"),
        ("ＦＵＬＬ^ＷＩＤＴＨ", "full width"),
    ],
)
def test_a_name_is_found_however_it_is_typed(kept, typed_in):
    known = film_words(kept, [])
    assert all(any(word.startswith(part) for word in known) for part in parse_terms(typed_in))


@pytest.mark.parametrize(
    ("one", "other"),
    [("かき", "がき"), ("हिन्दी", "हन्द"), ("は", "ぱ"), ("ไม่", "ไม"), ("ကို", "က"), ("김", "금")],
)
def test_where_a_mark_makes_another_letter_it_stays(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize("typed_in", ["PAT-001", "pat001", "001", "pat 001", "Pat_00"])
def test_a_number_is_found_by_its_parts_and_as_a_whole(typed_in):
    known = film_words("", ["PAT-001"])
    assert all(any(word.startswith(part) for word in known) for part in parse_terms(typed_in))


@given(st.text())
def test_folding_again_changes_nothing_and_no_text_is_an_error(text):
    once = words(text)
    assert words(" ".join(once)) == once
    assert all(0 < len(word) <= LONGEST_WORD for word in once)
    assert "\0" not in "".join(once)
    assert len(film_words(text, [text, text])) <= MOST_WORDS


@given(st.text(min_size=1), st.text())
def test_all_words_of_one_beginning_lie_between_it_and_what_comes_after(prefix, rest):
    beginning = fold(prefix)
    if beginning and ord(beginning[-1]) < 0x10FFFF:
        assert beginning <= beginning + rest < search.past(beginning)


def test_one_letter_is_too_little_and_one_ideograph_is_not():
    assert is_short("m")
    assert is_short("7")
    assert is_short("я")
    assert not is_short("李")
    assert not is_short("김")
    for text in ("m", "7", "--", "^"):
        with pytest.raises(InvalidQuery):
            parse_terms(text)
    assert parse_terms("A-1") == ("a", "1")
    assert parse_terms("m müller") == ("m", "muller")
    assert parse_terms("李") == ("李",)
    assert parse_terms("  ") == ()
    with pytest.raises(InvalidQuery, match="more than 8 words"):
        parse_terms("aa bb cc dd ee ff gg hh ii")


# -- names in the header


def header(**elements):
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def film_header(number, **more):
    return header(
        SOPInstanceUID=made_uid("film", number),
        SeriesInstanceUID=made_uid("series", number),
        StudyInstanceUID=made_uid("study", number),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        Modality="DX",
        ViewPosition="PA",
        **more,
    )


def take(session, ds, **more):
    identity = identify(ds, UTC, NOW)
    stored = Stored(f"archive/ab/{identity.sop_uid}.dcm", f"{hash(identity.sop_uid):064x}", 10)
    registration.register(
        session,
        identity,
        stored,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="XRAY1",
        now=NOW,
        **more,
    )
    return films.film(session, identity.sop_uid)


def test_a_film_that_comes_in_is_found_by_name_patient_id_and_accession_number(session):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    more = {"PatientID": "K-77", "AccessionNumber": "A2026/0815", "PatientName": name}
    film = take(session, film_header(1, **more))
    take(session, film_header(2, PatientName="Other^One", PatientID="K-78"))
    assert (film.patient_name, film.accession_number) == (name, "A2026/0815")
    for text in ("yamada", "山田", "やまだ", "k77", "K-77", "a2026/0815", "0815", "tarou K-77"):
        assert found(session, words=parse_terms(text)) == [film.uid], text
    for text in ("yamado", "k79", "yamada other", "amada"):
        assert found(session, words=parse_terms(text)) == [], text


@pytest.mark.parametrize(
    "name", [None, "", "^^^^", "=", "==", "A\0B^C", "\x1b\n\t", "^" * 300, "X" * 5000, "Ä" * 70]
)
def test_no_name_keeps_a_film_out(session, name):
    ds = film_header(1, PatientID="K-1")
    ds.add_new("PatientName", "PN", name)
    film = take(session, ds)
    assert "\0" not in film.patient_name
    assert len(film.patient_name) <= 400
    assert found(session, words=parse_terms("k1")) == [film.uid]


@pytest.mark.parametrize(
    "value", [b"\xff\xfe\x00", b"\x1b$B\x3b", b"\xe5\xb1", b"\x80=\x81=\x82=\x83"]
)
def test_bytes_that_are_no_name_keep_no_film_out(session, value):
    ds = film_header(1, PatientID="K-1", SpecificCharacterSet=["ISO_IR 192"])
    ds.add_new("PatientName", "PN", value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, of what it replaces
        film = take(session, ds)
    session.expire(film)
    assert "\0" not in film.patient_name


def test_a_name_in_another_character_set_is_kept_decoded(session):
    ds = film_header(1, SpecificCharacterSet="ISO_IR 100", PatientID="K-1")
    ds.add_new("PatientName", "PN", "Müller^Jörg".encode("latin-1"))
    assert take(session, ds).patient_name == "Müller^Jörg"


# -- what is wanted


@pytest.mark.usefixtures("few")
def test_all_words_must_be_there_and_the_newest_film_is_first(session, invent):
    old = named(invent, "Müller^Hans", age_s=300)
    new = named(invent, "Mueller^Hans=Müller^Hans", age_s=20)
    named(invent, "Müller^Anna", age_s=10)
    assert found(session, words=parse_terms("hans müll")) == [new, old]


@pytest.mark.usefixtures("few")
def test_a_finding_is_wanted_positive_or_with_the_change_that_is_named(session, invent):
    positive = told(invent, invent.film(age_s=1), {"Effusion": 0.8})
    fresh = told(invent, invent.film(age_s=2), {"Effusion": 0.8}, {"Effusion": Change.NEW})
    gone = told(invent, invent.film(age_s=3), {}, {"Effusion": Change.RESOLVED})
    other = told(invent, invent.film(age_s=4), {"Mass": 0.9}, {"Mass": Change.NEW})
    told(invent, invent.film(age_s=5), {})
    assert found(session, finding="Effusion") == [positive, fresh]
    assert found(session, finding="Effusion", change=Change.NEW) == [fresh]
    assert found(session, finding="Effusion", change=Change.RESOLVED) == [gone]
    assert found(session, change=Change.NEW) == [fresh, other]
    assert found(session, finding="Hernia") == []


@pytest.mark.usefixtures("few")
def test_state_dates_and_dead_letters_are_wanted_together_with_all_else(session, invent):
    name = "Rossi^Ada"
    failed = named(invent, name, age_s=10, state=FilmState.FAILED)
    dead = named(invent, name, age_s=86400 * 3)
    film = films.film(session, dead)
    invent.delivery(invent.result(film, data=b"x"), state=DeliveryState.DEAD)
    named(invent, "Other^One", age_s=20, state=FilmState.FAILED)
    wanted = WorklistQuery(words=parse_terms("rossi"))
    assert found(session, wanted) == [failed, dead]
    assert found(session, replace(wanted, state=FilmState.FAILED)) == [failed]
    assert found(session, replace(wanted, dead_letters=True)) == [dead]
    yesterday = NOW - timedelta(days=1)
    assert found(session, replace(wanted, received_from=yesterday)) == [failed]
    assert found(session, replace(wanted, received_before=yesterday)) == [dead]


def test_a_film_that_is_answered_again_is_found_by_what_is_said_last(session, invent):
    film = invent.film()
    told(invent, film, {"Effusion": 0.8, "Mass": 0.7})
    analysis = film.analyses[0]
    prior = invent.analysis(invent.film(age_s=1e6))
    invent.comparison(analysis, prior, {"Effusion": (0.6, Change.UNCHANGED)})
    update_entry(session, film, analysis, WorklistSettings())
    rows = session.scalars(sa.select(FilmFinding).order_by(FilmFinding.label)).all()
    assert [(row.label, row.change) for row in rows] == [
        ("Effusion", "unchanged"),
        ("Mass", "unchanged"),
    ]


def test_a_comparison_with_a_film_that_is_not_comparable_changes_nothing(session, invent):
    film = invent.film()
    analysis = invent.analysis(film, {"Effusion": 0.8})
    prior = invent.analysis(invent.film(age_s=1e6))
    invent.comparison(analysis, prior, {"Effusion": (0.1, Change.NEW)}, comparable=False)
    update_entry(session, film, analysis, WorklistSettings())
    assert session.scalars(sa.select(FilmFinding.change)).all() == [""]


# -- pages


@pytest.mark.parametrize("order", Order)
def test_paging_shows_each_film_once_while_others_arrive(session, invent, order):
    draw = random.Random(3)
    for _ in range(23):  # many of one moment
        age_s = draw.choice([100, 200, 200, 300])
        invent.film(age_s=age_s, due_at=NOW + timedelta(seconds=draw.choice([0, 50])))
    wanted = WorklistQuery(order=order)
    there = {film.uid for film in worklist(session, wanted, 50).films}
    seen, key = [], None
    while True:
        page = worklist(session, wanted, 4, key)
        seen += uids(page)
        invent.film(age_s=1, due_at=NOW - timedelta(hours=1))  # more urgent and newer than all
        if page.last is None:
            break
        key = Key.of(page.last.token(), order)
        assert key == page.last
    assert sorted(seen) == sorted(there)


def test_a_full_last_page_leads_to_no_empty_one(session, invent):
    for age_s in range(4):
        invent.film(age_s=age_s)
    first = worklist(session, WorklistQuery(), 2)
    assert first.last is not None
    assert worklist(session, WorklistQuery(), 2, first.last).last is None


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 2**31 - 1),
    st.sampled_from(Order),
)
def test_a_place_in_an_address_is_the_same_place(at, film_id, order):
    key = Key(order, at, film_id)
    assert Key.of(key.token(), order) == key
    with pytest.raises(InvalidQuery):
        Key.of(key.token(), next(other for other in Order if other is not order))


@given(st.text())
def test_no_text_in_the_place_of_a_place_breaks_anything(text):
    try:
        key = Key.of(text, Order.NEWEST)
    except InvalidQuery:
        return
    assert Key.of(key.token(), Order.NEWEST) == key


# -- urgency

THRESHOLDS = st.lists(st.floats(0.01, 1), min_size=14, max_size=14)
PROBABILITIES = st.lists(st.floats(0, 1), min_size=14, max_size=14)
CHANGES = st.dictionaries(st.sampled_from(LABELS), st.sampled_from(Change))


@given(PROBABILITIES, THRESHOLDS, CHANGES)
def test_urgency_lies_between_nothing_and_all(probabilities, thresholds, changes):
    said = urgency(probabilities, thresholds, changes, {})
    assert 0 <= said.value <= 1
    assert (said.label == "") == all(p < t for p, t in zip(probabilities, thresholds, strict=True))


@given(PROBABILITIES, THRESHOLDS, CHANGES, st.integers(0, 13), st.floats(0, 1))
def test_a_more_probable_finding_is_never_less_urgent(p, thresholds, changes, number, more):
    higher = [*p[:number], max(p[number], more), *p[number + 1 :]]
    before = urgency(p, thresholds, changes, {}).value
    assert urgency(higher, thresholds, changes, {}).value >= before


def only(label, probability=0.9):
    return [probability if name == label else 0.0 for name in LABELS], [0.5] * 14


def test_the_order_of_findings_is_that_of_the_paper_and_new_comes_before_known():
    ranked = (
        "Pneumothorax",
        "Effusion",
        "Infiltration",
        "Edema",
        "Atelectasis",
        "Cardiomegaly",
        "Mass",
    )
    values = [urgency(*only(label), {}, {}).value for label in ranked]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(values)
    assert set(WEIGHTS) == set(LABELS)
    by_change = [
        urgency(*only("Effusion"), {"Effusion": change}, {}).value
        for change in (Change.NEW, Change.UNCHANGED, Change.DECREASED)
    ]
    assert by_change == sorted(by_change, reverse=True)
    assert len(set(by_change)) == 3


@pytest.mark.parametrize(
    ("label", "probability", "change", "expected"),
    [
        # thresholds are 0.5: a finding counts half at its threshold, all of it where it is certain
        ("Pneumothorax", 1.0, None, 1.0),
        ("Pneumothorax", 0.5, None, 0.5),
        ("Pneumothorax", 0.75, None, 0.75),
        ("Pneumothorax", 0.499, None, 0.0),
        ("Effusion", 1.0, Change.NEW, 0.85),
        ("Effusion", 1.0, Change.INCREASED, 0.85),
        ("Effusion", 1.0, Change.UNCHANGED, 0.425),
        ("Effusion", 1.0, Change.DECREASED, 0.34),
        ("Effusion", 1.0, Change.RESOLVED, 0.0),
        ("Consolidation", 1.0, None, 0.8),
        ("Pneumonia", 1.0, None, 0.8),
        ("Infiltration", 1.0, None, 0.75),
        ("Edema", 1.0, None, 0.7),
        ("Atelectasis", 1.0, None, 0.55),
        ("Cardiomegaly", 1.0, None, 0.45),
        ("Mass", 1.0, None, 0.4),
        ("Nodule", 1.0, None, 0.35),
        ("Hernia", 1.0, None, 0.2),
        ("Pleural_Thickening", 1.0, None, 0.15),
        ("Fibrosis", 1.0, None, 0.15),
        ("Emphysema", 0.5, None, 0.075),
    ],
)
def test_the_clinical_order_in_numbers(label, probability, change, expected):
    changes = {} if change is None else {label: change}
    assert urgency(*only(label, probability), changes, {}).value == pytest.approx(expected)


def test_a_film_without_a_result_is_neither_first_nor_last():
    assert UNKNOWN == 0.5


def test_a_site_may_weigh_a_finding_otherwise():
    assert urgency(*only("Mass", 1.0), {}, {"Mass": 1.0}).value == 1
    assert urgency(*only("Mass", 1.0), {}, {"Mass": 0.0}).value == 0


@given(
    st.lists(st.tuples(st.integers(0, 600), st.floats(0, 1)), min_size=1, max_size=40),
    st.integers(1, 240),
)
def test_no_film_stands_behind_one_that_came_the_longest_wait_later(films_of, wait_min):
    settings = WorklistSettings(longest_wait_min=wait_min)
    came = [(NOW + timedelta(minutes=minute), urgency) for minute, urgency in films_of]
    order = sorted(came, key=lambda film: settings.due_at(*film))
    for place_, (at, _) in enumerate(order):
        for later, _ in order[:place_]:
            assert later - at <= settings.longest_wait


def test_the_urgent_come_first_and_those_nobody_is_asked_to_see_are_left_out(session, invent):
    invent.film(age_s=5, state=FilmState.NOT_ANALYSED)
    invent.film(age_s=6, state=FilmState.FETCHED)
    normal = told(invent, invent.film(age_s=30), {})
    urgent = told(invent, invent.film(age_s=20), {"Pneumothorax": 0.99})
    known = told(
        invent, invent.film(age_s=25), {"Pneumothorax": 0.99}, {"Pneumothorax": Change.UNCHANGED}
    )
    starved = told(invent, invent.film(age_s=3700), {})
    assert found(session, URGENT) == [starved, urgent, known, normal]
    recent = replace(URGENT, received_from=NOW - timedelta(minutes=10))
    assert found(session, recent) == [urgent, known, normal]


def test_a_film_waits_with_unknown_urgency_and_a_refused_one_is_not_waited_for(session):
    settings = WorklistSettings()
    film = take(session, film_header(1), due_at=settings.due_at(NOW, UNKNOWN))
    assert film.due_at == NOW + timedelta(minutes=30)
    films.set_outcome(film, FilmState.FAILED, NOW)
    assert film.due_at == NOW + timedelta(minutes=30)
    films.set_outcome(film, FilmState.NOT_ANALYSED, NOW)
    assert film.due_at is None


def test_a_fetched_prior_is_due_once_somebody_sends_it(engine, tmp_path):
    jobs = Jobs(engine)
    archive = Archive(tmp_path, ArchiveSettings(reserve_mb=0))
    intake = Intake(
        engine, archive, jobs, lambda: NOW, worklist=WorklistSettings(longest_wait_min=10)
    )
    ds = make_film_ds(rows=16, columns=16)
    dues = []
    for bring in (intake.ingest_prior, intake.ingest):
        path = archive.incoming / "film.dcm"
        ds.save_as(path, enforce_file_format=True)
        bring(path, Request("XRAY1", ds.SOPClassUID, ds.SOPInstanceUID))
        with Session(engine) as session:
            dues.append(films.film(session, ds.SOPInstanceUID).due_at)
    jobs.close()
    assert dues == [None, NOW + timedelta(minutes=5)]


# -- reindex


def archived(session, archive, number, **more):
    """A film as an earlier release left it: a file, a row, and no names."""
    ds = make_film_ds(rows=16, columns=16)
    ds.SOPInstanceUID = made_uid("old", number)
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    film = take(session, ds)
    path = archive.path(film.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    film.patient_name = film.birth_date = film.accession_number = None
    film.acquired_precision = None
    session.execute(sa.delete(SearchWord))
    session.commit()
    return film.uid


def test_films_of_before_are_found_by_name_after_reindex_and_lost_files_are_named(
    engine, session, tmp_path
):
    archive = Archive(tmp_path, ArchiveSettings(reserve_mb=0))
    lost = archived(session, archive, 1)
    broken = archived(session, archive, 2)
    good = archived(session, archive, 3, PatientName="Müller^Hans", AccessionNumber="A-1")
    archive.path(films.film(session, lost).path).unlink()
    archive.path(films.film(session, broken).path).write_bytes(b"no film")
    session.commit()
    done = Reindexed()
    assert count(engine, everything=False) == 3
    list(reindex(engine, archive, done))
    assert done.read == 1
    assert set(done.unreadable) == {lost, broken}
    row = films.film(session, good)
    assert (row.acquired_precision, row.acquired_from) == ("second", "AcquisitionDate")
    for text in ("muller", "A-1"):
        assert found(session, words=parse_terms(text)) == [good]
    assert count(engine, everything=False) == 2  # those that failed are tried again
    assert count(engine, everything=True) == 3


def test_reindex_goes_on_where_it_was_stopped(engine, session, tmp_path, monkeypatch):
    monkeypatch.setattr("scp.commands.reindex._BATCH", 2)
    archive = Archive(tmp_path, ArchiveSettings(reserve_mb=0))
    for number in range(5):
        archived(session, archive, number, PatientName="Müller^Hans")
    steps = reindex(engine, archive, Reindexed())
    for _ in range(3):  # the third film is of the second batch
        next(steps)
    steps.close()
    done = Reindexed()
    list(reindex(engine, archive, done))
    assert done.read == 3
    assert len(found(session, words=parse_terms("müller"))) == 5


# -- never the whole table


def plan_of(session, wanted, after=None):
    """Return how the database would look for a page."""
    chosen = search.statement(session, wanted, 50, after)
    dialect = session.get_bind().dialect
    text = chosen.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    prefix = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
    with session.get_bind().connect() as connection:
        if dialect.name == "postgresql":  # a table this small it reads as a whole if it may
            connection.exec_driver_sql("SET enable_seqscan = off")
        values = text.construct_params()
        values = {
            key: dialect.type_compiler and processor(values[key]) if processor else values[key]
            for key, processor in ((k, text._bind_processors.get(k)) for k in values)
        }
        if text.positional:
            values = tuple(values[name] for name in text.positiontup)
        rows = connection.exec_driver_sql(prefix + str(text), values).all()
    return "\n".join(str(row[-1]) for row in rows)


KEY = Key(Order.NEWEST, NOW, 7)


SEARCHES = [
    (WorklistQuery(), None),
    (WorklistQuery(), KEY),
    (WorklistQuery(received_from=NOW), None),
    (WorklistQuery(received_before=NOW), KEY),
    (WorklistQuery(state=FilmState.FAILED), None),
    (WorklistQuery(state=FilmState.ANSWERED), KEY),
    (URGENT, None),
    (replace(URGENT, received_from=NOW), replace(KEY, order=Order.URGENT)),
    (WorklistQuery(words=("muller",)), None),
    (WorklistQuery(words=("muller", "hans"), state=FilmState.ANSWERED), KEY),
    (WorklistQuery(finding="Effusion", change=Change.NEW), None),
    (WorklistQuery(finding="Effusion"), KEY),
    (WorklistQuery(change=Change.NEW), None),
    (WorklistQuery(dead_letters=True), None),
]


def test_no_search_reads_the_whole_table(session, invent, monkeypatch):
    reads_all = {"sqlite": _scans, "postgresql": lambda line: "Seq Scan" in line}
    _many_films(session, invent.patient.id)
    for few in (0, 5000):  # as if for many films, and as for few
        monkeypatch.setattr(search, "FEW", few)
        for wanted, after in SEARCHES:
            plan = plan_of(session, wanted, after)
            found = filter(reads_all[session.get_bind().dialect.name], plan.splitlines())
            assert not list(found), f"{few} {wanted} {after}:\n{plan}"


def _scans(line):
    """Say whether a line of SQLite's plan reads a whole table; along an index is a walk."""
    return line.startswith("SCAN") and "USING" not in line and "anon" not in line


def _many_films(session, patient):
    """Enough rows for PostgreSQL to think of its indices."""
    connection = session.connection()
    connection.execute(sa.insert(Study.__table__).values(id=1, uid="1.2"))
    tables = Instance.metadata.tables
    connection.execute(
        sa.insert(tables["series"]).values(id=1, uid="1.3", study_id=1, modality="DX")
    )
    rows = [
        {
            "id": n,
            "uid": f"1.2.{n}",
            "series_id": 1,
            "patient_id": patient,
            "sop_class_uid": "1.2",
            "transfer_syntax_uid": "1.2",
            "path": "x",
            "sha256": "0" * 64,
            "size_bytes": 1,
            "calling_ae_title": "X",
            "received_at": NOW - timedelta(minutes=n),
            "acquired_from": "",
            "view": "PA",
            "state": FilmState.ANSWERED if n % 50 else FilmState.FAILED,
            "reason": "",
            "detail": "",
            "due_at": NOW - timedelta(minutes=n),
        }
        for n in range(1, 4001)
    ]
    connection.execute(sa.insert(tables["instance"]), rows)
    found_words = [
        {"word": word, "instance_id": row["id"]}
        for row in rows
        for word in ("hans", f"muller{row['id'] % 200}", f"acc{row['id']}")
    ]
    connection.execute(sa.insert(tables["search_word"]), found_words)
    findings = [
        {
            "instance_id": row["id"],
            "label": LABELS[row["id"] % 14],
            "positive": True,
            "change": ("", "new", "unchanged")[row["id"] % 3],
        }
        for row in rows
    ]
    connection.execute(sa.insert(tables["film_finding"]), findings)
    session.commit()
    if session.get_bind().dialect.name == "postgresql":
        with session.get_bind().connect().execution_options(isolation_level="AUTOCOMMIT") as apart:
            apart.execute(sa.text("ANALYZE"))
