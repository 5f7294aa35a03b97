"""What all result objects have in common: identity, dates, equipment, references to the films."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from inference.image.acquisition import offset_text, stated_offset
from inference.image.header import size
from scp.config.results import ResultSettings
from scp.results.answer import Statement
from scp.results.identity import UTF8, prepare_source
from scp.results.kinds import Kind
from scp.results.series import series_number, series_title
from scp.results.uids import UNNAMED


class CommonModules:
    """The films an object is about, and the elements that every object carries.

    Attributes
    ----------
    current, prior
        Prepared headers (`prepare_source`); no prior unless the films were compared.
    """

    def __init__(self, statement: Statement, kind: Kind, settings: ResultSettings) -> None:
        self.statement = statement
        self.kind = kind
        self.settings = settings
        self.current = prepare_source(statement.source)
        self.prior = None if statement.prior is None else prepare_source(statement.prior)

    @property
    def films(self) -> list[Dataset]:
        """The current film first: an object belongs to the study of the first one."""
        return [self.current] if self.prior is None else [self.current, self.prior]

    @property
    def body_part(self) -> str:
        """What the film says it shows; the gate has let nothing else through than a chest."""
        return self.current.get("BodyPartExamined") or "CHEST"

    def arguments(self, instance_number: int = 1) -> dict[str, Any]:
        """Return what each of highdicom's constructors takes.

        The patient's name is not among it: highdicom prints odd names into warnings. No time is
        among it either: highdicom holds them against its own clock and raises;
        `add_common_modules` writes all. The UIDs are those of no object yet
        (`scp.results.uids.give_uids`).
        """
        product = self.statement.product
        return {
            "series_instance_uid": UNNAMED,
            "series_number": series_number(
                self.settings.first_series_number, self.kind.place, self.statement.edition
            ),
            "sop_instance_uid": UNNAMED,
            "instance_number": instance_number,
            "manufacturer": product.manufacturer,
            "manufacturer_model_name": product.model_name,
            "software_versions": product.version,
            "device_serial_number": product.serial,
            "series_description": series_title(
                self.kind.title,
                self.current,
                self.statement.edition,
                self.statement.acquired,
            ),
            "specific_character_set": UTF8,
            "contributing_equipment": [self._equipment()],
        }

    @property
    def moment(self) -> dt.datetime:
        """When the film was read, or answered once more, in whole seconds: every object's clock.

        In the offset that the film states, else in the site's zone, which is that of
        ``answered_at``.
        """
        statement = self.statement
        moment = (statement.edition.made_at or statement.answered_at).replace(microsecond=0)
        if moment.tzinfo is None:
            raise ValueError("answered_at has no time zone: that would not say when it was")
        offset = stated_offset(self.current)
        return moment if offset is None else moment.astimezone(dt.timezone(offset))

    def _equipment(self) -> hd.ContributingEquipment:
        product, model = self.statement.product, self.statement.model
        return hd.ContributingEquipment(
            manufacturer=product.manufacturer,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=product.model_name,
            software_versions=(product.version, f"{model.name} {model.version}"[:64]),
            device_serial_number=product.serial,
            contribution_description="Film read by machine",
        )

    def add_common_modules(self, ds: Dataset) -> None:
        """Write patient and study as the source has them, and one moment everywhere.

        References
        ----------
        PS3.3 C.12.1.1.8: Timezone Offset From UTC holds for every date and time of the object.
        """
        ds.copy_patient_and_study_information(self.current)
        moment = self.moment
        date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
        # a presentation state has a moment of creation in place of one of content (C.11.10)
        content = "PresentationCreation" if self.kind.modality == "PR" else "Content"
        for name in ("Series", content, "InstanceCreation"):
            setattr(ds, f"{name}Date", date)
            setattr(ds, f"{name}Time", time)
        for item in ds.ContributingEquipmentSequence:  # highdicom adds itself, at "now"
            item.ContributionDateTime = date + time
        ds.TimezoneOffsetFromUTC = offset_text(moment)
        institution = self.current.get("InstitutionName")
        if institution:
            ds.InstitutionName = institution

    def add_references(self, ds: Dataset) -> None:
        """Name the films that the object was made from.

        References
        ----------
        PS3.3 C.12.2 (Common Instance Reference).
        """
        same = [film for film in self.films if film.StudyInstanceUID == ds.StudyInstanceUID]
        other = [film for film in self.films if film.StudyInstanceUID != ds.StudyInstanceUID]
        ds.ReferencedSeriesSequence = _by_series(same)
        if other:
            study = Dataset()
            study.StudyInstanceUID = other[0].StudyInstanceUID
            study.ReferencedSeriesSequence = _by_series(other)
            ds.StudiesContainingOtherReferencedInstancesSequence = [study]


def minimal_reference(film: Dataset) -> Dataset:
    """Return what highdicom needs of a film, without the patient.

    highdicom judges names and dates and prints them into warnings; `CommonModules`
    writes the source's own afterwards. Modality OT keeps it
    from reading elements that a CR may lack.
    """
    made = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(made, keyword, film[keyword].value)
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(made, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(made, keyword, "")
    if all(size(film)):
        made.Rows, made.Columns = size(film)
    made.Modality, made.SamplesPerPixel = "OT", 1
    return made


def reference(film: Dataset) -> Dataset:
    """Make an item that refers to a film."""
    item = Dataset()
    item.ReferencedSOPClassUID = film.SOPClassUID
    item.ReferencedSOPInstanceUID = film.SOPInstanceUID
    return item


def _by_series(films: Sequence[Dataset]) -> list[Dataset]:
    series: dict[str, Dataset] = {}
    for film in films:
        item = series.setdefault(film.SeriesInstanceUID, Dataset())
        item.SeriesInstanceUID = film.SeriesInstanceUID
        item.ReferencedInstanceSequence = [
            *item.get("ReferencedInstanceSequence", []),
            reference(film),
        ]
    return list(series.values())
