"""Lists of labelled films: hilum's own CSV, and the layout in which NIH publishes ChestX-ray14.

References
----------
Wang et al., ChestX-ray8, CVPR 2017; NIH Clinical Center, ChestX-ray14, README_CHESTXRAY.pdf.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from inference.findings import LABELS
from training.data.boxes import boxes_by_film
from training.data.expert_labels import with_expert_labels
from training.data.record import Record
from training.errors import BadFilmList as BadFilmList  # noqa: PLC0414 -- what reading raises
from training.settings import SPLITS

# of films.csv, the first that is there
SPLIT_COLUMNS = ("split", "chexnet_7_1_2_split")

# NIH publishes no validation films: this share of its train_val patients becomes them
NIH_VAL_SHARE = 1 / 8


@dataclass(frozen=True)
class Source:
    """Where labelled films are listed: one of a CSV and a folder in NIH's layout.

    ``experts`` has radiologists' own labels of some of them (`training.data.expert_labels`),
    ``boxes`` are lists of where they drew findings (`training.data.boxes`).
    """

    films: Path | None = None
    nih: Path | None = None
    experts: Path | None = None
    boxes: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if (self.films is None) == (self.nih is None):
            raise BadFilmList("say where the films are: either --films FILMS.csv or --nih FOLDER")

    def records(self) -> list[Record]:
        """Read the list.

        Raises
        ------
        BadFilmList, BadBoxList
        """
        listed = read_film_list(self.films) if self.films else read_nih(cast(Path, self.nih))
        drawn = boxes_by_film(self.boxes)
        boxed = [replace(record, boxes=drawn.get(record.name, ())) for record in listed]
        return with_expert_labels(boxed, self.experts)


def of_split(source: Source, split: str) -> list[Record]:
    """Read a list and keep one split.

    Raises
    ------
    BadFilmList
        Also when the split holds no film.
    """
    chosen = [record for record in source.records() if record.split == split]
    if not chosen:
        raise BadFilmList(f"{source.films or source.nih}: no film is in split {split!r}")
    return chosen


def read_film_list(path: Path) -> list[Record]:
    """Read a CSV with one row a film; relative files lie beside it.

    Needed columns: ``file``, ``patient_id``, ``split`` (or ``chexnet_7_1_2_split``), the 14
    labels. Used where they are there: ``source_px``, ``source``, ``age``, ``sex``, ``view``.

    Raises
    ------
    BadFilmList
        A column is missing, a value cannot be read, a split is unknown, or a patient is in more
        than one split.
    """
    rows = _rows(path)
    split = next((column for column in SPLIT_COLUMNS if column in rows[0]), SPLIT_COLUMNS[0])
    _need(path, rows[0], ("file", "patient_id", split, *LABELS))
    records = [_record(path, row, split) for row in rows]
    refuse_leaks(records)
    return records


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise BadFilmList(f"{path}: {error.strerror}") from error
    if not rows:
        raise BadFilmList(f"{path}: lists no film")
    return rows


def _need(path: Path, row: Mapping[str, str], columns: Iterable[str]) -> None:
    missing = [column for column in columns if column not in row]
    if missing:
        raise BadFilmList(f"{path}: column {', '.join(missing)} is missing")


def _record(path: Path, row: Mapping[str, str], split: str) -> Record:
    if row[split] not in SPLITS:
        raise BadFilmList(f"{path}: {row['file']} is in split {row[split]!r}, not one of {SPLITS}")
    try:
        return Record(
            path=path.parent / row["file"],
            patient=row["patient_id"],
            split=row[split],
            labels=tuple(_zero_or_one(row[label]) for label in LABELS),
            source_px=_whole(row.get("source_px")),
            age=_whole(row.get("age")),
            sex=row.get("sex") or "",
            view=row.get("view") or "",
            source=row.get("source") or "",
        )
    except ValueError as error:
        raise BadFilmList(f"{path}: {row['file']}: {error}") from error


def _zero_or_one(text: str) -> int:
    value = float(text)
    if value not in (0, 1):
        raise ValueError(f"a label is 0 or 1, not {text}")
    return int(value)


def _whole(text: str | None) -> int | None:
    return int(float(text)) if text else None


def read_nih(folder: Path) -> list[Record]:
    """Read ChestX-ray14 as NIH publishes it.

    ``Data_Entry_2017*.csv``, ``train_val_list.txt``, ``test_list.txt``, and the films in
    ``images/`` or ``images_*/images/``. Films that are not there are left out, so that a part
    of the set can be used. The validation films are an eighth of the train_val patients, drawn
    by a hash of the patient's number: the same on every machine.

    Raises
    ------
    BadFilmList
        A file is missing or cannot be read, or a film is in neither list.
    """
    entries = sorted(folder.glob("Data_Entry_2017*.csv"))
    if not entries:
        raise BadFilmList(f"{folder}: Data_Entry_2017*.csv is missing")
    rows = _rows(entries[-1])
    _need(entries[-1], rows[0], ("Image Index", "Finding Labels", "Patient ID"))
    listed = {
        name: split
        for split, file in (("train", "train_val_list.txt"), ("test", "test_list.txt"))
        for name in _lines(folder / file)
    }
    films = {path.name: path for path in sorted(folder.glob("images*/**/*.png"))}
    there = [row for row in rows if row["Image Index"] in films]
    if not there:
        raise BadFilmList(f"{folder}: no film of {entries[-1].name} is in images*/")
    records = [_nih_record(folder, row, films, listed) for row in there]
    refuse_leaks(records)
    return records


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise BadFilmList(f"{path}: {error.strerror}") from error


def _nih_record(
    folder: Path, row: Mapping[str, str], films: Mapping[str, Path], listed: Mapping[str, str]
) -> Record:
    name, patient = row["Image Index"], row["Patient ID"]
    if name not in listed:
        raise BadFilmList(f"{folder}: {name} is in neither train_val_list.txt nor test_list.txt")
    labels = set(row["Finding Labels"].split("|"))
    unknown = labels - set(LABELS) - {"No Finding"}
    if unknown:
        raise BadFilmList(f"{folder}: {name} has the unknown label {', '.join(sorted(unknown))}")
    sex = row.get("Patient Gender") or row.get("Patient Sex") or ""
    return Record(
        path=films[name],
        patient=patient,
        split="val" if listed[name] == "train" and _is_val(patient) else listed[name],
        labels=tuple(int(label in labels) for label in LABELS),
        source_px=1024,
        age=_whole(row.get("Patient Age", "").rstrip("YMD")),
        sex=sex,
        view=row.get("View Position") or "",
    )


def _is_val(patient: str) -> bool:
    digest = hashlib.sha256(patient.encode()).digest()
    return int.from_bytes(digest[:4], "big") < NIH_VAL_SHARE * 2**32


def refuse_leaks(records: Sequence[Record]) -> None:
    """Raise BadFilmList if a patient's films lie in more than one split."""
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.patient, set()).add(record.split)
    leaking = sum(len(found) > 1 for found in splits.values())
    if leaking:
        raise BadFilmList(
            f"{leaking} of {len(splits)} patients have films in more than one split: "
            "what is measured on them would be memory, not reading; split by patient"
        )
