"""What `hilum analyse` prints for people."""

import os

from bombs import deflated_bomb
from films import make_film_ds
from network import save

from scp.commands.analyse import analyse_files
from scp.config.load import load_settings


def test_the_table_says_outcome_prior_and_what_limits_of_each_film(
    tiny_bundle, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    config = tmp_path / "config.toml"
    config.write_text(f'[inference]\nbundle = "{tiny_bundle}"\n', encoding="utf-8")
    films = [
        save(make_film_ds(seed=1), tmp_path / "new.dcm"),
        save(make_film_ds(seed=2, view="AP", study_date="20230102"), tmp_path / "old.dcm"),
        save(make_film_ds(view="LL", study_date="20220102"), tmp_path / "side.dcm"),
        deflated_bomb(tmp_path / "bomb.dcm"),
        tmp_path / "notes.txt",
    ]
    twice = save(make_film_ds(seed=1), tmp_path / "twice.dcm")
    films[-1].write_text("no film")
    films[1].write_bytes(films[1].read_bytes()[132:])  # without its preamble
    films[2].write_bytes(films[2].read_bytes()[128:])  # "DICM", and no preamble
    (tmp_path / "void").mkdir()
    (tmp_path / "astray").mkdir()
    (tmp_path / "astray" / "link.dcm").symlink_to(tmp_path / "nowhere")
    (tmp_path / "astray" / "folder").symlink_to(tmp_path / "astray")
    os.mkfifo(tmp_path / "astray" / "pipe.dcm")
    code = analyse_files(
        load_settings(config),
        [*films, twice, *map(tmp_path.joinpath, ("gone.dcm", "void", "astray"))],
        tmp_path / "out",
        as_json=False,
    )
    printed = capsys.readouterr().out
    rows = {
        name: next(line for line in printed.splitlines() if name in line)
        for name in ("new.dcm", "old.dcm", "side.dcm", "bomb.dcm", "notes.txt", "gone.dcm")
    }
    assert code == 1  # not all well
    assert "answered, compared with the film of 2023-01-02 10:15" in rows["new.dcm"]
    assert "film of 2023-01-02 10:15" in rows["new.dcm"]
    assert printed.count("limited comparison: PA film against AP film") == 1
    assert "None of this patient's other films can be compared with." in rows["old.dcm"]
    assert "not analysed: The header says lateral" in rows["side.dcm"]
    assert "refused: not a DICOM data set" in rows["notes.txt"]
    assert "refused: its deflated data set inflates to more than 512 MB" in rows["bomb.dcm"]
    assert "refused: it is not there" in rows["gone.dcm"]
    assert "a folder without files" in printed
    assert "a broken link" in printed
    told = (tmp_path / "out" / "findings.json").read_text()
    assert "refused: a link to a folder: name it" in told
    assert "refused: neither a file nor a folder" in told
    said = next(line for line in printed.splitlines() if line.strip("│ ").startswith("twice.dcm"))
    assert "refused: the same object (SOP Instance UID) as" in said
    assert "Not a medical device." in printed
    assert "TEST-1" not in printed
