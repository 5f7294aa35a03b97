"""Films as they come from the wire, and every object that answers them."""

import datetime as dt
import io
from typing import Any

import numpy as np
import pydicom
from films import chest, make_film_ds
from invented import comparison, prediction
from pydicom.dataset import Dataset, FileDataset

from inference.comparison import Comparison
from inference.drawing.outlines import outlines
from inference.findings import Prediction
from inference.image.acquisition import acquisition_time
from inference.image.film import read_film
from scp.config.results import ResultSettings
from scp.results.answer import Answer, NotAnalysed, ResultObject
from scp.results.identity import Product
from scp.results.kinds import KINDS
from scp.results.objects import make_objects, to_bytes
from scp.results.report import not_analysed_report
from scp.results.series import FIRST, Edition

ROWS, COLUMNS = 250, 200
PIXELS = chest(ROWS, COLUMNS)
PRODUCT = Product(version="0.1.0", serial="device-1")
AT = dt.datetime(2024, 1, 2, 11, 22, 33, 456789, dt.UTC)

# every kind of object; of single findings one capture each
EVERYTHING = {
    **{kind.setting: True for kind in KINDS},
    "finding_captures": 1,
    "drawing": {"long_edge_px": 900},
}

NO_PICTURES = {"summary_capture": False, "finding_captures": 0, "comparison_capture": False}

JAPANESE = {
    "charset": ["", "ISO 2022 IR 87"],
    "patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}
KOREAN = {"charset": ["", "ISO 2022 IR 149"], "patient_name": "Hong^Gildong=洪^吉洞=홍^길동"}
CHINESE = {"charset": "GB18030", "patient_name": "Wang^XiaoDong=王^小东"}
RUSSIAN = {"charset": "ISO_IR 144", "patient_name": "Люкceмбypг^Роза"}
GERMAN = {"charset": "ISO_IR 100", "patient_name": "Müller^Jürgen"}
NONE_STATED = {"charset": "ISO_IR 100", "patient_name": "Müller^Jürgen", "drop_charset": True}
# a film of each character set that PS3.3 C.12.1.1.2 knows, and of none
CHARACTER_SETS: dict[str, dict[str, Any]] = {
    "japanese": JAPANESE,
    "half-width-japanese": {
        "charset": ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        "patient_name": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    },
    "korean": KOREAN,
    "chinese": CHINESE,
    "chinese-gbk": CHINESE | {"charset": "GBK"},
    "cyrillic": RUSSIAN,
    "latin-1": GERMAN,
    "latin-2": {"charset": "ISO_IR 101", "patient_name": "Dvořák^Antonín"},
    "latin-3": {"charset": "ISO_IR 109", "patient_name": "Ĉapek^Ĝoĵo"},
    "latin-4": {"charset": "ISO_IR 110", "patient_name": "Bērziņš^Jānis"},
    "latin-5": {"charset": "ISO_IR 148", "patient_name": "Çavuşoğlu^Şule"},
    "greek": {"charset": "ISO_IR 126", "patient_name": "Διονυσιου^Αθηνα"},
    "arabic": {"charset": "ISO_IR 127", "patient_name": "قباني^لنزار"},
    "hebrew": {"charset": "ISO_IR 138", "patient_name": "שרון^דבורה"},
    "thai": {"charset": "ISO_IR 166", "patient_name": "สมชาย^ใจดี"},
    "utf-8": CHINESE | {"charset": "ISO_IR 192"},
    "none-stated": NONE_STATED,
}


def sent(pixels=PIXELS, *, drop_charset: bool = False, **arguments: Any) -> bytes:
    """Make the file of a film (`make_film_ds`) as it comes from the wire.

    ``drop_charset`` keeps the 8-bit bytes and loses the name of their character set.
    """
    data = to_bytes(make_film_ds(pixels, **arguments))
    if drop_charset:
        start = data.index(b"\x08\x00\x05\x00CS")
        length = 8 + int.from_bytes(data[start + 6 : start + 8], "little")
        data = data[:start] + data[start + length :]
    return data


def received(**arguments: Any) -> FileDataset:
    """Read a film back from the wire."""
    return pydicom.dcmread(io.BytesIO(sent(**arguments)))


def prior_film(**arguments: Any) -> FileDataset:
    """Read back a film of a year before."""
    return received(study_date="20230102", **arguments)


def lut(count: int, first: int, kind: str = "", power: float = 1.5) -> Dataset:
    """Make an item of a VOI LUT, or of a Modality LUT of a kind, with 16-bit entries."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, 16])
    entries = np.linspace(0, 1, count) ** power * 65535
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    if kind:
        item.ModalityLUTType = kind
    return item


def answers(
    source: Dataset,
    prior: Dataset | None = None,
    *,
    found: Prediction | None = None,
    compared: Comparison | None = None,
    notes: tuple[str, ...] = (),
    edition: Edition = FIRST,
    **settings: Any,
) -> list[ResultObject]:
    """Decode a film, and make every object that answers it; ``settings`` replace `EVERYTHING`'s."""
    film, found = read_film(source), found or prediction()
    if prior is not None and compared is None:
        compared = comparison()
    asked = ResultSettings.model_validate(EVERYTHING | settings)
    answer = Answer(
        source=source,
        film=film,
        prediction=found,
        outlines=outlines(found, film.pixels.shape, asked.regions, film.presentation.occluded),
        notes=notes,
        answered_at=AT,
        product=PRODUCT,
        prior_source=prior,
        comparison=compared,
        edition=edition,
        acquired=acquisition_time(source, dt.UTC),
        prior_acquired=None if prior is None else acquisition_time(prior, dt.UTC),
    )
    return make_objects(answer, asked)


def not_analysed(source: Dataset, **settings: Any) -> ResultObject:
    """Make the report of a film that was not analysed."""
    asked = ResultSettings.model_validate(EVERYTHING | settings)
    model = prediction().model
    statement = NotAnalysed(source, "not_frontal", "The view is lateral.", AT, PRODUCT, model)
    return not_analysed_report(statement, asked)


def read_back(ds: Dataset) -> FileDataset:
    """Read an object as a receiver does."""
    return pydicom.dcmread(io.BytesIO(to_bytes(ds)))
