import pytest
from labelled import rows_of, write_films, write_list

from inference.findings import LABELS
from training.data.film_list import BadFilmList, Source, read_film_list, read_nih


def test_a_film_list_gives_records_with_labels_in_the_order_of_findings(labelled_films):
    records = Source(films=labelled_films).records()
    assert len(records) == 64
    row = next(iter(rows_of(16, 4)))
    assert records[0].labels == tuple(row[label] for label in LABELS)
    assert records[0].path == labelled_films.parent / "0_0.png"
    assert (records[0].name, records[0].source_px, records[0].age) == ("0_0", 1024, None)


def test_a_source_is_one_list_and_not_two(tmp_path):
    for both in ({}, {"films": tmp_path, "nih": tmp_path}):
        with pytest.raises(BadFilmList, match="--films"):
            Source(**both)


def test_a_split_that_leaks_patients_is_refused_with_their_number(tmp_path):
    rows = list(rows_of(8, 2))
    rows[0]["split"] = "val"  # its other film stays in train
    rows[2]["split"] = "test"
    with pytest.raises(BadFilmList, match="2 of 8 patients"):
        read_film_list(write_films(tmp_path / "leaky", rows))


def test_the_column_of_the_chexnet_split_is_used_where_there_is_no_other(tmp_path):
    rows = [{"chexnet_7_1_2_split": row["split"], **row} for row in rows_of(8, 1)]
    for row in rows:
        del row["split"]
    records = read_film_list(write_list(tmp_path / "films.csv", rows))
    assert {record.split for record in records} == {"train", "val", "test"}


def test_age_sex_and_view_are_read_where_they_are_told(tmp_path):
    rows = [row | {"age": "58.0", "sex": "F", "view": "AP"} for row in rows_of(1, 1)]
    (record,) = read_film_list(write_list(tmp_path / "films.csv", rows))
    assert (record.age, record.sex, record.view) == (58, "F", "AP")


@pytest.mark.parametrize("column", ["patient_id", "file", "split", "Hernia"])
def test_a_missing_column_is_named(tmp_path, column):
    rows = [{k: v for k, v in row.items() if k != column} for row in rows_of(2, 1)]
    with pytest.raises(BadFilmList, match=column):
        read_film_list(write_list(tmp_path / "films.csv", rows))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"split": "holdout"}, "'holdout'"),
        ({"Mass": "2"}, "0_0.png.*not 2"),
        ({"Mass": ""}, "0_0.png"),
        ({"source_px": "large"}, "0_0.png.*large"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_film(tmp_path, wrong, said):
    rows = [row | wrong for row in rows_of(1, 1)]
    with pytest.raises(BadFilmList, match=said):
        read_film_list(write_list(tmp_path / "films.csv", rows))


def test_an_empty_or_absent_list_is_refused(tmp_path):
    with pytest.raises(BadFilmList, match="No such file"):
        read_film_list(tmp_path / "films.csv")
    (tmp_path / "films.csv").write_text("file\n")
    with pytest.raises(BadFilmList, match="no film"):
        read_film_list(tmp_path / "films.csv")


def test_the_shared_films_split_by_patient(shared_data):
    records = read_film_list(shared_data / "films.csv")
    assert {record.split for record in records} == {"train", "val", "test"}


# NIH's layout

COLUMNS = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,{},View Position"


def nih(folder, patients=40, sex="Patient Gender", findings="Mass|Hernia"):
    """Write ChestX-ray14's layout: three films a patient, in two folders; the last fifth is test.

    The films are empty files: a list is read without them.
    """
    lines, lists = [COLUMNS.format(sex)], {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(1, patients + 1):
        for film in range(3):
            name = f"{patient:08d}_{film:03d}.png"
            place = folder / f"images_00{1 + patient % 2}" / "images" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
            said = findings if film else "No Finding"
            lines.append(f"{name},{said},{film},{patient},058Y,F,PA")
            test = patient > 0.8 * patients
            lists["test_list.txt" if test else "train_val_list.txt"].append(name)
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    for file, names in lists.items():
        (folder / file).write_text("\n".join(names) + "\n")
    return folder


@pytest.mark.parametrize("sex", ["Patient Gender", "Patient Sex"])
def test_the_layout_of_nih_gives_records(tmp_path, sex):
    records = Source(nih=nih(tmp_path, sex=sex)).records()
    assert len(records) == 120
    first, second = records[:2]
    assert (first.age, first.sex, first.view, first.source_px) == (58, "F", "PA", 1024)
    assert first.path == tmp_path / "images_002" / "images" / "00000001_000.png"
    assert sum(first.labels) == 0
    assert {LABELS[k] for k in range(14) if second.labels[k]} == {"Mass", "Hernia"}


def test_validation_patients_are_a_fixed_part_of_the_train_val_patients(tmp_path):
    records = read_nih(nih(tmp_path, patients=400))
    split_of = {record.patient: record.split for record in records}
    assert all(record.split == split_of[record.patient] for record in records)
    assert sum(split == "test" for split in split_of.values()) == 80
    assert 25 < sum(split == "val" for split in split_of.values()) < 55  # an eighth of 320 is 40
    again = read_nih(nih(tmp_path / "again", patients=400))
    assert [record.split for record in again] == [record.split for record in records]


def test_films_that_are_not_there_are_left_out(tmp_path):
    nih(tmp_path)
    for film in (tmp_path / "images_001" / "images").iterdir():
        film.unlink()
    records = read_nih(tmp_path)
    assert len(records) == 60
    assert all(record.path.exists() for record in records)


def test_images_in_one_folder_are_found(tmp_path):
    nih(tmp_path)
    (tmp_path / "images").mkdir()
    for film in sorted(tmp_path.glob("images_*/images/*.png")):
        film.rename(tmp_path / "images" / film.name)
    assert len(read_nih(tmp_path)) == 120


def test_a_layout_without_any_film_is_refused(tmp_path):
    for film in nih(tmp_path).glob("images_*/images/*.png"):
        film.unlink()
    with pytest.raises(BadFilmList, match=r"no film of Data_Entry_2017_v2020\.csv"):
        read_nih(tmp_path)


@pytest.mark.parametrize(
    "file", ["Data_Entry_2017_v2020.csv", "train_val_list.txt", "test_list.txt"]
)
def test_a_missing_file_of_the_layout_is_named(tmp_path, file):
    (nih(tmp_path) / file).unlink()
    with pytest.raises(BadFilmList, match="Data_Entry_2017" if "Data" in file else file):
        read_nih(tmp_path)


def test_a_film_in_neither_list_is_refused(tmp_path):
    lines = (nih(tmp_path) / "test_list.txt").read_text().split()
    (tmp_path / "test_list.txt").write_text("\n".join(lines[1:]))
    with pytest.raises(BadFilmList, match=f"{lines[0]} is in neither"):
        read_nih(tmp_path)


def test_an_unknown_label_is_refused(tmp_path):
    with pytest.raises(BadFilmList, match=r"00000001_001\.png has the unknown label Covid"):
        read_nih(nih(tmp_path, findings="Covid|Mass"))


def test_a_patient_in_both_lists_is_refused_with_their_number(tmp_path):
    lists = [nih(tmp_path) / name for name in ("train_val_list.txt", "test_list.txt")]
    train, test = (path.read_text().split() for path in lists)
    lists[0].write_text("\n".join([*train, test[0]]))
    lists[1].write_text("\n".join(test[1:]))
    with pytest.raises(BadFilmList, match="1 of 40 patients"):
        read_nih(tmp_path)
