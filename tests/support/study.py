"""A study as a PACS has it after hilum has answered: film, prior, and every kind of object."""

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from films import made_uid
from invented import prediction
from pydicom import FileDataset, dcmread

from inference.comparison.compare import compare
from inference.drawing.outlines import outlines
from inference.image.acquisition import acquisition_time
from inference.image.film import read_film
from inference.model.bundle import load_bundle
from inference.model.metadata import bundle_folder
from scp.config.results import ResultSettings
from scp.results.answer import Answer, NotAnalysed, ResultObject
from scp.results.identity import Product
from scp.results.objects import make_objects
from scp.results.report import not_analysed_report

EVERYTHING = {"segmentation": True, "label_map": True, "not_analysed": True}
# where the film of pydicom-data shows round shadows, and where it shows none
NOW = {"Nodule": (0.93, 0.799, 0.438, 0.04), "Mass": (0.97, 0.791, 0.601, 0.045)}
BEFORE = {"Mass": (0.95, 0.8, 0.61, 0.045)}


@dataclass(frozen=True)
class Study:
    """The current film, the earlier one of another study, and what answers the current one."""

    film: FileDataset
    prior: FileDataset
    objects: list[ResultObject]

    def made(self, kind: str):
        """The first object of a kind."""
        return next(made.ds for made in self.objects if made.kind == kind)


def make_study(
    path: Path, found=None, *, name="viewer", header=None, compared=True, apart="", **settings
) -> Study:
    """Answer the real film at ``path`` by invented findings; the patient is made up.

    ``header`` holds elements by keyword that both films have besides; None takes one away.
    ``apart`` is why the films are not comparable, if they are not to be.
    """
    film = _film(path, "20260115", name, header or {})
    prior = _film(path, "20250610", name, header or {})
    prior.PixelData = np.roll(prior.pixel_array, (25, -30), (0, 1)).tobytes()
    now, before = prediction(NOW if found is None else found), prediction(BEFORE)
    current, earlier = read_film(film), read_film(prior)
    null = load_bundle(bundle_folder()).metadata.hilum.null
    product, at = Product("0.1.0", "HILUM"), dt.datetime(2026, 1, 15, 10, 20, tzinfo=dt.UTC)
    comparison = compare(current, earlier, now, before, null=null) if compared else None
    if apart:
        comparison = replace(comparison, comparable=False, reason=apart)
    answer = Answer(
        film,
        current,
        now,
        outlines(now, current.pixels.shape),
        ("A note on the film.",),
        at,
        product,
        prior_source=prior,
        comparison=comparison,
        acquired=acquisition_time(film, dt.UTC),
        prior_acquired=acquisition_time(prior, dt.UTC),
        prior_view=earlier.view,
    )
    wanted = ResultSettings.model_validate(EVERYTHING | settings)
    refused = NotAnalysed(film, "lateral", "The film is a lateral view.", at, product, now.model)
    objects = [*make_objects(answer, wanted), not_analysed_report(refused, wanted)]
    return Study(film, prior, objects)


def _film(path: Path, day: str, name: str, header) -> FileDataset:
    ds = dcmread(path)
    del ds[0xFFFC0000:]  # trailing padding
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Test^Film", "TEST-VIEWER", "19600101"
    ds.ReferringPhysicianName = "Referring^Doctor"
    ds.StudyDescription, ds.SeriesDescription = "XR CHEST PA", "Chest PA"
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", day)
    ds.StudyInstanceUID = made_uid(name, "study", day)
    ds.SeriesInstanceUID = made_uid(name, "series", day)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = made_uid(name, "film", day)
    del ds.PixelSpacing  # 0 by 0: no viewer can draw it
    ds.ImagerPixelSpacing = ["0.2", "0.2"]
    for keyword, value in header.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    return ds
