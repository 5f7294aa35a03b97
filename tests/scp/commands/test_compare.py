"""`hilum compare`: two files against each other, what is printed, drawn, written and refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from films import chest, make_film_ds
from invented import comparison, prediction
from network import save
from PIL import Image
from pydicom import Dataset, dcmread

from inference.drawing.summary import Caption
from inference.findings import FINDINGS, LABELS, Change
from inference.image.film import Film, View
from inference.settings import DrawingSettings
from scp.commands.compare import WRITTEN, Pair, compare_files, pictures_of
from scp.commands.demo import simulated_prior
from scp.commands.opened_pair import CannotCompare
from scp.config.load import load_settings
from scp.errors import ConfigError
from scp.pipeline.reader import NO_HEADER, Opened, Read
from scp.processes.work import open_reader
from scp.results.identity import Product

ROOT = Path(__file__).parents[3]
FILMS = {"comparison.png", "current.png", "prior.png", "structural.png"}


@pytest.fixture
def config(tmp_path, tiny_bundle):
    path = tmp_path / "config.toml"
    path.write_text(f'[inference]\nbundle = "{tiny_bundle}"\n', encoding="utf-8")
    return path


@pytest.fixture
def compared(config, tmp_path, capsys):
    """Return a function that compares two files: exit code, and what is printed on stdout."""

    def compare(current, prior, *, as_json=False):
        settings = load_settings(config)
        code = compare_files(settings, current, prior, tmp_path / "out", as_json=as_json)
        return code, capsys.readouterr().out

    return compare


@pytest.fixture
def facts_of(compared):
    """Return a function that compares two files: exit code, and the JSON."""

    def compare(current, prior):
        code, printed = compared(current, prior, as_json=True)
        return code, json.loads(printed)

    return compare


@pytest.fixture
def film(tmp_path):
    """Return a function that writes a film."""

    def write(name, **said):
        return save(make_film_ds(**said), tmp_path / name)

    return write


@pytest.fixture
def pair(film):
    """A film and the same patient's film of a year before."""
    return film("current.dcm", seed=1), film("prior.dcm", seed=2, study_date="20230102")


def picture(path, bits=8, **drawn):
    pixels = chest(**drawn) * (2**bits - 1)
    Image.fromarray(pixels.astype(f"u{bits // 8}")).save(path)
    return path


def size_of(path):
    with Image.open(path) as opened:
        return opened.size


def test_a_real_film_and_its_simulated_earlier_one_are_compared(
    compared, philips_film, tmp_path, written
):
    earlier = save(simulated_prior(dcmread(philips_film)), tmp_path / "earlier.dcm")
    code, printed = compared(philips_film, earlier)
    assert code == 0
    first, second, *rest = printed.splitlines()
    prior = "Prior: 2003-03-14 12:51 -0400 (series time), PA, 531 days earlier"
    assert first == f"Current: 2004-08-26 18:50 -0400 (study time), PA. {prior}."
    assert second.startswith("Alignment: correlation 0.9")
    assert [finding.name for finding in FINDINGS if finding.name in printed] == [
        finding.name for finding in FINDINGS
    ]
    assert "research use only" in rest[-1]
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} >= FILMS | {"comparison.json"}
    plates = [size_of(out / name) for name in ("current.png", "prior.png", "structural.png")]
    assert len(set(plates)) == 1  # a viewer can flip between them
    assert prior in written
    assert written.count("AI RESULT - FOR RESEARCH USE ONLY") >= len(FILMS)


def test_the_table_the_json_and_the_comparison_say_the_same(compared, config, pair):
    code, printed = compared(*pair)
    assert code == 0
    with open_reader(load_settings(config)) as reader:
        said = reader.compare(*(reader.read(path) for path in pair))
    code, text = compared(*pair, as_json=True)
    facts = json.loads(text)
    assert [found["label"] for found in facts["findings"]] == list(LABELS)
    rows = [line.split("│")[1:5] for line in printed.splitlines() if line.startswith("│")]
    for change, found, row in zip(said.changes, facts["findings"], rows, strict=True):
        assert found["change"] == change.change in set(Change)
        assert found["prior"] == pytest.approx(change.prior, abs=1e-5)
        assert found["current"] == pytest.approx(change.current, abs=1e-5)
        cells = [cell.strip() for cell in row]
        assert cells == [
            found["name"],
            f"{100 * found['prior']:.1f} %",
            f"{100 * found['current']:.1f} %",
            found["change"],
        ]


def test_json_alone_is_on_stdout_and_the_same_in_the_folder(facts_of, pair, tmp_path):
    code, facts = facts_of(*pair)
    assert code == 0
    assert facts == json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert facts["comparable"] is True
    assert facts["reason"].startswith("no change of a finding is named")  # tiny has no null
    assert (facts["current"]["day"], facts["prior"]["day"]) == ("2024-01-02", "2023-01-02")
    assert facts["prior"]["taken"] == {
        "at": "2023-01-02T10:15:00",
        "precision": "second",
        "from": "AcquisitionDate",
        "said": "2023-01-02 10:15",
    }
    assert facts["interval"] == "365 days earlier"
    assert facts["model"]["name"] == "tiny"


def test_nothing_of_the_patient_is_printed_written_or_drawn(compared, film, tmp_path, written):
    patient = {"patient_id": "PID-7734", "patient_name": "Zimmermann^Ida", "issuer": "WARDX"}
    pair = film("a.dcm", seed=1, **patient), film("b.dcm", study_date="20230102", **patient)
    said = [compared(*pair)[1], compared(*pair, as_json=True)[1], *written]
    said += [path.read_bytes().decode("latin-1") for path in (tmp_path / "out").iterdir()]
    for secret in ("PID-7734", "Zimmermann", "Ida^", "WARDX", "19600101", "a.dcm"):
        assert not [text for text in said if secret in text]


def test_neither_data_folder_nor_database_is_made(compared, pair, tmp_path):
    compared(*pair)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"config.toml", "current.dcm", "prior.dcm", "out"}


@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("a.png", 16), ("a.JPEG", 8)])
def test_pictures_are_compared_and_what_they_do_not_say_is_stated(facts_of, tmp_path, name, bits):
    prior = picture(tmp_path / "prior.png", seed=2)
    code, facts = facts_of(picture(tmp_path / name, bits, seed=1), prior)
    assert code == 0
    assert facts["current"] == {
        **{"day": None, "taken": None},
        **{"view": "unknown", "notes": [NO_HEADER]},
    }
    for words in ("of one patient is not stated", "which film is the earlier one is not stated"):
        assert words in facts["reason"]


def test_a_picture_is_compared_with_a_dicom_film(compared, film, tmp_path):
    code, printed = compared(film("a.dcm", seed=1), picture(tmp_path / "b.png", seed=2))
    assert code == 0
    assert "Prior: date not stated, view not stated." in printed
    assert "Limited comparison: PA film against film of unstated view; " in printed
    assert "whether both films are of one patient is not stated" in printed


def test_another_view_is_a_limited_comparison(compared, film):
    code, printed = compared(
        film("a.dcm", seed=1), film("b.dcm", study_date="20230102", view="AP", seed=2)
    )
    assert code == 0
    assert "Limited comparison: PA film against AP film; no change of a finding is named" in printed


def test_a_prior_that_was_taken_later_is_said_to_be_later(compared, pair):
    current, prior = pair
    code, printed = compared(prior, current)
    assert code == 0
    assert "365 days LATER" in printed
    assert "Limited comparison: the prior was taken later than the current film; no" in printed


def test_a_repeat_of_one_exposure_is_a_limited_comparison(compared, film):
    code, printed = compared(film("a.dcm", seed=1), film("b.dcm", seed=2, study_time="094000"))
    assert code == 0
    assert "Limited comparison: the prior was taken 35 min earlier; no change" in printed


def test_films_without_a_patient_id_are_compared_and_that_is_said(compared, film):
    code, printed = compared(
        film("a.dcm", seed=1, patient_id=""),
        film("b.dcm", seed=2, patient_id="", study_date="20230102"),
    )
    assert code == 0
    assert "whether both films are of one patient is not stated" in printed


def test_films_that_are_not_comparable_show_no_difference_and_no_prior(compared, tmp_path, written):
    turned = tmp_path / "turned.png"
    Image.fromarray((255 * np.rot90(chest(512, 448, seed=2))).astype(np.uint8)).save(turned)
    code, printed = compared(picture(tmp_path / "a.png", rows=512, columns=448, seed=1), turned)
    assert code == 1
    assert "\nnot comparable: " in printed
    assert printed.count("not comparable") == 1
    assert not [name for name in ("Hernia", "unchanged", "new") if name in printed]
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "comparison.png", "current.png", "comparison.json",
    }  # fmt: skip
    facts = json.loads((out / "comparison.json").read_text("utf-8"))
    assert facts["comparable"] is False
    assert {found["change"] for found in facts["findings"]} == {"uncertain"}
    assert "Structural difference" not in written


def test_an_earlier_comparison_in_the_folder_does_not_pass_for_this_one(compared, pair, tmp_path):
    out = tmp_path / "out"
    compared(*pair)
    (out / "heatmaps.png").write_bytes(b"of before")
    (out / "mine.txt").write_text("stays")
    with pytest.raises(CannotCompare):
        compared(pair[0], pair[0])
    assert {path.name for path in out.iterdir()} == {"mine.txt"}


@pytest.mark.parametrize("other", [{"patient_id": "TEST-2"}, {"issuer": "OTHER"}])
def test_films_of_different_patients_are_not_compared(compared, film, other):
    films = film("a.dcm", seed=1), film("b.dcm", seed=2, study_date="20230102", **other)
    with pytest.raises(CannotCompare, match="different patients") as raised:
        compared(*films)
    assert "TEST" not in str(raised.value)


def test_a_film_is_not_compared_with_itself(compared, film, tmp_path):
    one = film("a.dcm", seed=1)
    copy = film("b.dcm", seed=1, SOPInstanceUID="1.2.3", study_date="20230102")
    drawn = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    for pair in ((one, one), (one, copy), drawn):
        with pytest.raises(CannotCompare, match="the very same film"):
            compared(*pair)


def text_file(path):
    path.write_text("no film")
    return path


def half_of(path):
    save(make_film_ds(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


UNREAD = {
    "lateral": (lambda p: save(make_film_ds(view="LL"), p), "bad.dcm", "lateral"),
    "child": (lambda p: save(make_film_ds(PatientAge="007Y"), p), "bad.dcm", "under 18 years"),
    "text": (text_file, "bad.dcm", "not a DICOM data set"),
    "half a film": (half_of, "bad.dcm", ""),
    "text as picture": (text_file, "bad.png", "no PNG or JPEG picture"),
    "small picture": (lambda p: picture(p, rows=90, columns=80), "bad.png", "fewer than 200"),
}


@pytest.mark.parametrize(("make", "name", "says"), UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize("first", [True, False], ids=["current", "prior"])
def test_a_film_that_may_not_be_read_is_named_with_the_reason(
    compared, film, tmp_path, make, name, says, first
):
    bad, good = make(tmp_path / name), film("good.dcm")
    with pytest.raises(CannotCompare, match=rf"{name} cannot be read: .*{says}"):
        compared(*((bad, good) if first else (good, bad)))


def test_a_path_that_is_not_there_or_is_a_folder_is_explained(compared, pair, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.dcm is not there"):
        compared(pair[0], tmp_path / "none.dcm")
    with pytest.raises(ConfigError, match="is a folder: name one film"):
        compared(tmp_path, pair[1])


def test_a_film_is_never_overwritten_by_its_comparison(compared, tmp_path):
    (tmp_path / "out").mkdir()
    current = picture(tmp_path / "out" / "current.png", seed=1)
    before = current.read_bytes()
    with pytest.raises(ConfigError, match="name another folder"):
        compared(current, picture(tmp_path / "b.png", seed=2))
    assert current.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_explained(compared, pair, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigError, match="out cannot be written: "):
        compared(*pair)


def test_heat_map_differences_are_drawn_of_the_findings_that_changed(written):
    film = Film(chest(250, 200), View.PA)
    read = Read(Opened(Dataset(), film, ()), prediction())
    drawing = DrawingSettings(long_edge_px=900)
    product = Product(version="0", serial="0")
    made = pictures_of(Pair(read, read, comparison(), (Caption(), Caption())), product, drawing)
    assert set(made) == FILMS | {"heatmaps.png"} == set(WRITTEN) - {"comparison.json"}
    assert written.count("Heat-map difference: Nodule (new)") == 2  # in the panel, and alone


def test_a_shell_sees_the_outcome_in_the_exit_code(config, pair, tmp_path):
    words = ("compare", *pair, "--json", "--config", config)
    done = subprocess.run(
        [sys.executable, "-m", "scp.cli", *map(str, words), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["comparable"] is True


def test_films_that_may_not_be_compared_are_exit_code_1(inside, config, pair, tmp_path):
    done = inside("compare", pair[0], pair[0], "--json", "--config", config, "--out", tmp_path)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "hilum: both files hold the very same film" in done.stderr


def test_a_folder_without_configuration_is_enough(inside, pair, tmp_path, monkeypatch, tiny_bundle):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_INFERENCE__BUNDLE", str(tiny_bundle))  # the default one is slower
    done = inside("compare", *pair, "--out", "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} > FILMS
    assert not (tmp_path / "var").exists()
