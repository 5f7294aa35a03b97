"""Whether two films of one Patient ID can be of one person; IDs that name nobody, or nearly one."""

import pytest
from bench import open_bench
from films import make_film_ds
from sqlalchemy.orm import Session

from scp.config.patients import PLACEHOLDERS
from scp.index import films, prior_fetches
from scp.index.schema.tables import Instance, Patient
from scp.index.similar_ids import mark_placeholders
from scp.matching.patient_ids import differences, is_placeholder
from scp.matching.person import Contradiction, Person, contradiction

SEX, BIRTH, NAME = Contradiction.SEX, Contradiction.BIRTH_DATE, Contradiction.NAME


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("M", "F", SEX),
        ("M", "O", SEX),
        ("M", "M", None),
        ("m", "M ", None),
        ("F", "FEMALE", None),
        ("F", "W", None),
        ("M", "W", SEX),
        ("M", "", None),  # absence contradicts nothing
        ("M", "U", None),
        ("M", "?", None),
    ],
)
def test_another_sex_is_another_person(one, other, told):
    assert contradiction(Person(sex=one), Person(sex=other)) is told
    assert contradiction(Person(sex=other), Person(sex=one)) is told


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("19600131", "19600131", None),
        ("19600131", "1960.01.31", None),  # ACR-NEMA
        ("19600131", "19600132", None),  # no date: says nothing
        ("19600131", "19610131", None),  # one digit
        ("19600131", "19060131", None),  # two exchanged
        ("19600112", "19601201", None),  # day and month exchanged
        ("19620131", "19600132", None),
        ("19600131", "19620130", BIRTH),
        ("19600131", "19850304", BIRTH),
        ("19600131", "19600228", BIRTH),
        ("19600131", "19700331", BIRTH),
        ("19600131", "", None),
        ("19600131", "19000101", None),  # how programs write that they know none
        ("19600131", "00010101", None),
        ("19600131", "UNKNOWN", None),
    ],
)
def test_another_birth_date_is_another_person_unless_it_is_a_slip(one, other, told):
    assert contradiction(Person(birth_date=one), Person(birth_date=other)) is told
    assert contradiction(Person(birth_date=other), Person(birth_date=one)) is told


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("Smith^John", "Jones^Peter", NAME),
        ("Smith^John", "SMITH^JOHN", None),
        ("Smith^John", "John^Smith", None),  # any order
        ("Smith^John", "SMITH JOHN", None),
        ("Smith^John^Paul^Dr^Jr", "Brown^Mary^^Dr^Jr", NAME),  # titles say nothing
        ("Meier^Anna", "Schulz^Anna", None),  # married
        ("Meier^Anna", "Meier-Schulz^Anna", None),
        ("Müller^Hans", "Mueller^H", None),
        ("Müller^Hans", "MULLER^H", None),
        ("García^José", "GARCIA^J", None),
        ("O'Neil^Jim", "ONEIL^J", None),
        ("Van Dyke^Dick", "VANDYKE^D", None),
        ("De Souza^Ana", "De Lima^Carla", NAME),  # a particle is no name
        ("Smith^J", "Smyth^X", None),  # a letter
        ("Featherstonehaugh^J", "Feathers^X", None),  # cut short
        ("Peter^Hans", "Petersen^Lars", NAME),
        ("Mohammed^Ali", "Muhamad^Aly", None),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^太郎", None),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ヤマダ^タロウ", None),
        ("Yamada^Tarou=山田^太郎", "山田太郎", None),
        ("山田^太郎", "鈴木^一郎", NAME),
        ("Yamada^Tarou=山田^太郎", "Suzuki^Ichirou=鈴木^一郎", NAME),
        ("김^철수", "이^영희", NAME),
        ("Smith^John", "", None),
        ("Smith^John", "^", None),
        ("Smith^John", "UNKNOWN^UNKNOWN", None),
        ("Smith^John", "ANONYMOUS", None),
        ("Smith^John", "X^Y", None),  # initials
    ],
)
def test_a_wholly_different_name_is_another_person(one, other, told):
    assert contradiction(Person(name=one), Person(name=other)) is told
    assert contradiction(Person(name=other), Person(name=one)) is told


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("Yamada^Tarou", "山田^太郎", None),
        ("Ivanov^Ivan", "Иванов^Иван", None),
        ("Zhang^Wei", "Chang^Wai", None),
        ("Kowalski^Jan", "Kovalsky^Yan", None),
        ("Smith^John", "Jones^Peter", NAME),
        ("Smith^Anna", "Jones^Nina", NAME),
    ],
)
def test_another_script_or_spelling_is_no_other_person_where_the_birth_dates_agree(
    one, other, told
):
    born = {"birth_date": "19600131", "sex": "F"}
    assert contradiction(Person(one, **born), Person(other, **born)) is told
    assert contradiction(Person(other, **born), Person(one, **born)) is told


def test_another_script_is_another_name_where_nothing_else_says_who_it_is():
    assert contradiction(Person("Yamada^Tarou"), Person("山田^太郎")) is NAME


def test_a_person_shows_in_no_text():
    assert "Smith" not in repr(Person("Smith^John", "19600131", "M"))


@pytest.mark.parametrize(
    "patient_id",
    [
        "UNKNOWN", "unknown ", "0", "0000", "ANONYMOUS", "ANON", "NONE", "N/A", "n.a.", "TEST",
        "99999", "9999999999", "11111", "12345", "123456789", "-", "--", "?", "...", "X", "xxx",
        "ＵＮＫＮＯＷＮ", "No ID", "Test Patient", "undefined", "Not known",
    ],
)  # fmt: skip
def test_a_placeholder_names_nobody(patient_id):
    assert is_placeholder(patient_id, PLACEHOLDERS)


@pytest.mark.parametrize(
    "patient_id",
    ["1", "7", "99", "9999", "1111", "TEST-1", "ANON0001", "K-1", "A", "1234", "患者-12"],
)  # fmt: skip
def test_a_patient_id_that_only_looks_like_one_is_no_placeholder(patient_id):
    assert not is_placeholder(patient_id, PLACEHOLDERS)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (("abc", ""), ("ABC", ""), ("upper and lower case",)),
        (("7", ""), ("007", ""), ("leading zeros",)),
        (("P7", ""), ("P007", ""), ("leading zeros",)),
        (("12 34", ""), ("12-34", ""), ("spaces or punctuation",)),
        (("7", ""), ("7", "WARD"), ("the issuer",)),
        (("7", "Ward"), ("7", "WARD "), ("how the issuer is written",)),
        (("007", ""), ("7", "WARD"), ("leading zeros", "the issuer")),
        (("7", "ONE"), ("7", "TWO"), None),  # another person (PS3.3 C.7.1.1)
        (("7", ""), ("8", ""), None),
        (("70", ""), ("7", ""), None),
        (("7", ""), ("7", ""), None),
    ],
)
def test_patient_ids_that_are_nearly_the_same_are_told_by_what_differs(one, other, said):
    assert differences(one, other) == said
    assert differences(other, one) == said


# -- through the worker's steps


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path, tiny_bundle) as bench:
        yield bench


def earlier(**more):
    return make_film_ds(study_date="20230101", seed=1, **more)


def later(**more):
    return make_film_ds(study_date="20240101", seed=2, **more)


@pytest.mark.parametrize(
    ("header", "code", "states"),
    [
        ({"PatientSex": "M"}, "other_sex", "another sex"),
        ({"PatientBirthDate": "19850304"}, "other_birth_date", "another birth date"),
        ({"patient_name": "Wholly^Different"}, "other_name", "an entirely different name"),
    ],
)
def test_a_film_of_another_person_under_one_id_is_no_prior_and_the_answer_says_why(
    bench, header, code, states
):
    old = bench.take(earlier(**header))
    row = bench.answer(bench.take(later()))
    assert (row.prior, row.choice.code) == (None, code)
    assert {r.uid: r.code for r in row.choice.rejected} == {old: code}
    said = f"An earlier film of this Patient ID was not compared: its header states {states}."
    assert row.choice.sentence == said
    assert any(said in text for text in bench.report(row))
    assert "comparison-capture" not in {result.kind for result in row.results}


def test_an_older_film_of_the_same_person_is_the_prior_and_the_answer_names_the_doubt(bench):
    own = bench.take(make_film_ds(study_date="20220101", seed=3))
    bench.take(earlier(PatientSex="M"))
    row = bench.answer(bench.take(later()))
    assert row.prior.uid == own
    assert [note.code for note in row.choice.notes] == ["other_sex"]
    assert any("states another sex" in text for text in bench.report(row))


@pytest.mark.parametrize("patient_id", ["UNKNOWN", "0", "99999", "-"])
def test_films_of_a_placeholder_are_never_compared_and_no_pacs_is_asked(bench, patient_id):
    bench.take(earlier(patient_id=patient_id))
    bench.ask(retrieve="get", host="127.0.0.1", port=1)
    uid = bench.take(later(patient_id=patient_id))
    row = bench.answer(uid)
    assert (row.prior, row.choice.code) == (None, "placeholder_patient_id")
    assert any("is a placeholder" in text for text in bench.report(row))
    with Session(bench.stores.engine) as session:
        assert prior_fetches.outcome(session, films.film(session, uid)) is None


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ({"patient_id": "abc"}, {"patient_id": "ABC"}, "upper and lower case"),
        ({"patient_id": "007"}, {"patient_id": "7"}, "leading zeros"),
        ({"patient_id": "7"}, {"patient_id": "7", "issuer": "WARD"}, "the issuer"),
    ],
)
def test_a_film_of_nearly_the_same_id_is_not_compared_but_said(bench, old, new, differs):
    bench.take(earlier(**old))
    row = bench.answer(bench.take(later(**new)))
    assert (row.prior, row.choice.code) == (None, "nearly_same_patient_id")
    said = (
        f"An earlier film of a Patient ID that differs only in {differs} is here; it was not"
        " compared."
    )
    assert row.choice.sentence == said
    assert any(said in text for text in bench.report(row))


def test_a_film_of_nearly_the_same_id_that_states_another_sex_is_nothing_to_say(bench):
    bench.take(earlier(patient_id="007", PatientSex="M"))
    row = bench.answer(bench.take(later(patient_id="7")))
    assert row.choice.code == "none_known"


def test_a_film_of_an_earlier_release_is_told_apart_by_its_header_in_the_archive(bench):
    old = bench.take(earlier(PatientSex="M"))
    uid = bench.take(later())
    with Session(bench.stores.engine) as session, session.begin():
        for film in (old, uid):
            films.film(session, film).birth_date = films.film(session, film).sex = None
    row = bench.answer(uid)
    assert (row.prior, row.choice.code) == (None, "other_sex")


def test_a_changed_list_of_placeholders_holds_for_films_that_are_here(engine):
    with Session(engine) as session:
        session.add_all([Patient(patient_id=p, issuer="") for p in ("GUEST", "UNKNOWN", "7")])
        for listed, nobody in ((PLACEHOLDERS, {"UNKNOWN"}), (("GUEST",), {"GUEST"})):
            mark_placeholders(session, listed)
            rows = session.query(Patient).filter(Patient.placeholder).all()
            assert {row.patient_id for row in rows} == nobody
        assert session.query(Instance).count() == 0
