"""Gate, read, compare and write: one film's answer, from the archive into the archive.

No queue in here: `scp.pipeline.workflow` makes durable steps of it, `hilum analyse` uses the same
parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from threading import Lock

from cachetools import LRUCache
from pydicom import Dataset

from inference.cardiothoracic import RatioStatement
from inference.comparison import Comparison
from inference.comparison.compare import compare
from inference.comparison.conditions import Acquisition, Side, is_stored_mirrored
from inference.drawing.outlines import outlines
from inference.findings import NetworkOutput, Prediction
from inference.image.acquisition import AcquisitionTime
from inference.image.dicom_file import read_dicom
from inference.image.film import Film, NotAFilm, View, film_from_picture, read_film
from inference.image.gate import Reason, Refusal, check_header, check_pixels
from inference.image.gate_settings import GateSettings
from inference.image.limitations import OF_THE_MODEL, bundle_limitations, limitations_of
from inference.image.lossy import state_lossy
from inference.image.reduced import SYNTAXES as REDUCIBLE
from inference.model.engine import Engine
from inference.model.heart import RatioReader
from inference.model.input_check import MIRRORED, InputCheck
from inference.model.lung_fields import LungFields
from inference.model.ratio_rule import as_header_allows
from scp.config.results import ResultSettings
from scp.config.time_zone import SERVER_ZONE
from scp.matching.prior import Choice
from scp.pipeline.notes import notes_beside
from scp.results.answer import Answer, NotAnalysed, ResultObject
from scp.results.identity import Product
from scp.results.objects import make_objects
from scp.results.report import not_analysed_report

# decoded films kept between the steps of their lives: some 20 MB each
_KEPT_FILMS = 6
NO_HEADER = "picture without a header: patient, date, view and pixel spacing not stated"


@dataclass(frozen=True, eq=False)
class Opened:
    """A film that the gate let through, with its header (no pixels) and what is stated of it.

    ``looks`` says which way round the picture looks, to the input check.
    """

    header: Dataset
    film: Film
    notes: tuple[str, ...]
    looks: Side = Side.UNCLEAR

    @property
    def reducible(self) -> bool:
        """Whether its transfer syntax holds the film at several sizes."""
        return self.header.file_meta.TransferSyntaxUID in REDUCIBLE

    @property
    def taken(self) -> Acquisition:
        """How the film was taken and stored."""
        notes = tuple(note for note in self.notes if note not in OF_THE_MODEL)
        return Acquisition(is_stored_mirrored(self.header), self.looks, notes)


@dataclass(frozen=True, eq=False)
class Filed:
    """A film's header with the patient that it is filed under, when it was taken, and came."""

    header: Dataset
    acquired: AcquisitionTime | None
    received_at: datetime


@dataclass(frozen=True, eq=False)
class Read:
    """A film and the network's output."""

    opened: Opened
    prediction: Prediction


class Reader:
    """Opens films and answers them. Safe from many threads.

    ``zone`` is the site's: objects are dated in it where a film states no offset.
    """

    def __init__(
        self,
        engine: Engine,
        gate: GateSettings,
        results: ResultSettings,
        product: Product,
        check: InputCheck | None = None,
        lungs: LungFields | None = None,
        zone: tzinfo = SERVER_ZONE,
        ratio: RatioReader | None = None,
    ) -> None:
        self.engine = engine
        self.gate = gate
        self.results = results
        self.product = product
        self.check = check
        self.lungs = lungs
        self.zone = zone
        self.ratio = ratio
        measured = all(reading.unseen is not None for reading in engine.bundle.calibrations)
        self._limits = bundle_limitations(checked=check is not None, measured=measured)
        self._opened: LRUCache[tuple[Path, int], Opened] = LRUCache(_KEPT_FILMS)
        self._lock = Lock()

    def open(self, path: Path, at_least: int = 0) -> Opened | Refusal:
        """Decode a film, or say why it may not be read.

        Parameters
        ----------
        at_least
            Pixels that its long edge must have, where it is only compared: it may then be decoded
            at a part of its size, and is so whether or not it is in memory at all of it. 0: as it
            is stored.
        """
        with self._lock:
            known = self._opened.get((path, at_least)) or self._whole(path)
        if known is not None:
            return known
        opened = open_film(path, self.gate, self.check, at_least)
        if isinstance(opened, Opened):
            opened = replace(opened, notes=(*opened.notes, *self._limits))
            with self._lock:
                self._opened[path, at_least] = opened
        return opened

    def _whole(self, path: Path) -> Opened | None:
        """Return a film that is in memory, if it is never decoded at a part of its size."""
        known = self._opened.get((path, 0))
        return None if known is None or known.reducible else known

    def read(self, path: Path) -> Read | Refusal:
        """Open a film and ask the network."""
        opened = self.open(path)
        return opened if isinstance(opened, Refusal) else self.ask(opened)

    def ask(self, opened: Opened) -> Read:
        """Ask the network."""
        return Read(opened, self.engine.points.apply(self.output(opened)))

    def output(self, opened: Opened) -> NetworkOutput:
        """Ask the networks of a whole film."""
        output = self.engine.output(opened.film)
        ratio = self.ratio.read(opened.film.pixels) if self.ratio else None
        return replace(output, ratio=self._allowed(opened, ratio))

    def _allowed(self, opened: Opened, ratio: RatioStatement | None) -> RatioStatement | None:
        """Apply the film's header of now: it may have been corrected."""
        looks = None if self.check is None else opened.looks
        return as_header_allows(ratio, opened.film, opened.header, opened.notes, looks)

    def compare(self, current: Read, prior: Read, limits: Sequence[str] = ()) -> Comparison:
        """Compare two films; ``limits`` is what limits that and cannot be seen on them."""
        return compare(
            current.opened.film,
            prior.opened.film,
            current.prediction,
            prior.prediction,
            null=self.engine.bundle.metadata.hilum.null,
            lungs=self.lungs,
            limits=limits,
            taken=(current.opened.taken, prior.opened.taken),
        )

    def answer(
        self,
        current: Read,
        prior: Read | None,
        answered_at: datetime,
        choice: Choice,
        followed: Mapping[str, str],
    ) -> Answer:
        """Compare with the prior, if there is one, and say all that was found.

        ``followed`` is what the prior follows its findings by (`scp.results.tracking`).
        """
        comparison = None
        if prior is not None:
            limits = [limit.sentence for limit in choice.limits]
            comparison = self.compare(current, prior, limits)
        film, ratio = current.opened.film, self._allowed(current.opened, current.prediction.ratio)
        return Answer(
            source=current.opened.header,
            film=film,
            prediction=replace(current.prediction, ratio=ratio),
            outlines=outlines(
                current.prediction,
                film.pixels.shape,
                self.results.regions,
                film.presentation.occluded,
            ),
            notes=(*current.opened.notes, *notes_beside(ratio, choice)),
            answered_at=answered_at.astimezone(self.zone),
            product=self.product,
            prior_source=prior.opened.header if prior is not None else None,
            prior_view=prior.opened.film.view if prior is not None else View.UNKNOWN,
            comparison=comparison,
            followed=followed,
            acquired=choice.acquired,
            prior_acquired=choice.prior.acquired if choice.prior is not None else None,
        )

    def objects(self, answer: Answer | NotAnalysed) -> list[ResultObject]:
        """Make the objects that say an answer, or that there is none."""
        if isinstance(answer, NotAnalysed):
            return [not_analysed_report(answer, self.results)]
        return make_objects(answer, self.results)

    def not_analysed(self, filed: Filed, reason: str, detail: str) -> NotAnalysed | None:
        """State why a film was not analysed, where a report of it is asked for.

        Of results of ours that come back there is none: it would be an answer to an answer.
        """
        if not self.results.not_analysed or reason == Reason.OWN_RESULT:
            return None
        model = self.engine.bundle.identity
        at = filed.received_at.astimezone(self.zone)
        return NotAnalysed(
            filed.header, reason, detail, at, self.product, model, acquired=filed.acquired
        )


def open_film(
    path: Path, gate: GateSettings, check: InputCheck | None = None, at_least: int = 0
) -> Opened | Refusal:
    """Check a header, decode the pixels, check them, and look at what they show.

    ``at_least`` as in `inference.image.film.read_film`.
    """
    try:
        ds = read_dicom(path)
        refusal = check_header(ds, gate)
        if refusal is not None:
            return refusal
        film = read_film(ds, gate.vocabulary, at_least)
    except NotAFilm as error:
        return Refusal(Reason.UNDECODABLE, str(error))
    state_lossy(ds)
    del ds.PixelData
    notes = (*film.presentation.problems, *limitations_of(ds, gate.vocabulary))
    return _gated(Opened(ds, film, notes), gate, check)


def open_picture(
    path: Path, gate: GateSettings, check: InputCheck | None = None
) -> Opened | Refusal:
    """Open a PNG or JPEG file as a film whose header says nothing."""
    try:
        film = film_from_picture(path)
    except NotAFilm as error:
        return Refusal(Reason.UNDECODABLE, str(error))
    return _gated(Opened(Dataset(), film, (NO_HEADER,)), gate, check)


def _gated(opened: Opened, gate: GateSettings, check: InputCheck | None) -> Opened | Refusal:
    """Check the pixels of a film, and look at what they show."""
    refusal = check_pixels(opened.film, gate)
    if refusal is not None or check is None:
        return refusal or opened
    seen = check.look(opened.film)
    if seen.refusal is not None:
        return seen.refusal
    if seen.mirrored:
        return replace(opened, notes=(*opened.notes, MIRRORED), looks=Side.MIRRORED)
    # a heart in the middle looks mirrored neither way
    other_way = check.look(opened.film.mirrored()).mirrored
    return replace(opened, looks=Side.AS_USUAL if other_way else Side.UNCLEAR)
