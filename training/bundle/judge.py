"""Judge a network on films that did not teach it: which findings it tells apart, which maps point.

The verdicts go into the bundle, and the service obeys them:
`inference.model.calibration.OutputCalibration.assessed` and `map_verified`. No film that taught is
asked, and no test film: those only measure.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.findings import LABELS, FloatArray
from inference.model.bundle import Bundle, load_bundle
from inference.model.calibration import Discrimination, MapEvidence, OutputCalibration
from inference.model.metadata import METADATA
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.bundle.model_card import renew_card
from training.bundle.parts import BundleExists, renumber
from training.bundle.prevalences import Prevalences, at_prevalences
from training.data.boxes import Box
from training.data.film_list import BadFilmList
from training.data.record import Record
from training.evaluation.discrimination import discrimination, is_sharp
from training.evaluation.maps import film_outputs
from training.evaluation.pointing import evidence, pointed
from training.evaluation.statistics import Doubles
from training.evaluation.text_table import TextTable


@dataclass(frozen=True)
class Verdicts:
    """What films that did not teach say of each finding, by label."""

    maps: Mapping[str, MapEvidence]
    unseen: Mapping[str, Discrimination]

    def on(self, calibrations: Mapping[str, OutputCalibration]) -> dict[str, OutputCalibration]:
        """Return the readings with these verdicts in place of their own."""
        return {
            label: calibration.model_copy(
                update={"maps": self.maps.get(label), "unseen": self.unseen.get(label)}
            )
            for label, calibration in calibrations.items()
        }

    def sheets(self) -> list[TextTable]:
        """Return a table of findings and one of maps."""
        rows = [
            (label, *_discrimination_row(self.unseen[label]))
            for label in LABELS
            if label in self.unseen
        ]
        maps = [(label, *_pointing(self.maps[label])) for label in LABELS if label in self.maps]
        columns = ("finding", "films", "with it", "AUC within source (95 % interval)", "verdict")
        controls = ("random box", "mean map", "another film's map")
        return [
            TextTable("Discrimination, on films that did not teach", columns, tuple(rows)),
            TextTable(
                "Maps that point, on boxes of films that did not teach",
                ("finding", "boxes", "peak in the box", *controls, "verdict"),
                tuple(maps),
            ),
        ]


def _discrimination_row(found: Discrimination) -> tuple[str, ...]:
    auc = "-" if found.auc is None else f"{found.auc:.3f}"
    if found.low is not None:
        auc += f" ({found.low:.3f} to {found.high:.3f})"
    verdict = "assessed" if found.assessed else "not assessed"
    return str(found.films), str(found.positives), auc, verdict


def _pointing(found: MapEvidence) -> tuple[str, ...]:
    shares = (found.pointing, found.random_box, found.mean_map, found.other_film)
    verdict = "verified" if found.verified else "not verified"
    return str(found.boxes), *(f"{share:.2f}" for share in shares), verdict


def unseen_films(
    records: Sequence[Record], taught: Sequence[Record], *, test: bool = False
) -> list[Record]:
    """Return the sharp films that may judge: none of test, none of a patient who taught.

    Parameters
    ----------
    taught
        The list that the network learnt from; its train split taught.
    test
        Return the test films alone, to measure on.

    Raises
    ------
    BadFilmList
        None is left.
    """
    patients = {record.patient for record in taught if record.split == "train"}
    left = [
        record
        for record in records
        if (record.split == "test") is test and record.patient not in patients and is_sharp(record)
    ]
    if not left:
        raise BadFilmList("no film that may judge: all are test films, small, or taught")
    return left


def judge(
    network: FindingNetwork,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    boxes: Sequence[Box],
    device: str = "cpu",
) -> Verdicts:
    """Read films that did not teach, and judge findings and maps by them."""
    maps, logits = film_outputs(network, preprocessing, records, device)
    return judged_by(maps, logits, records, boxes)


def judged_by(
    maps: Mapping[str, FloatArray],
    logits: Doubles,
    records: Sequence[Record],
    boxes: Sequence[Box],
) -> Verdicts:
    """Judge findings and maps by the outputs for films that did not teach.

    Parameters
    ----------
    maps
        (14, h, w) by the film's name, not scaled.
    logits
        (films, 14), in the order of ``records``.
    """
    patients = {record.name: record.patient for record in records}
    return Verdicts(evidence(pointed(maps, boxes, patients)), discrimination(logits, records))


def judged_bundle(
    bundle: Bundle,
    verdicts: Verdicts,
    out: Path,
    prevalences: Prevalences = "nih",
    version: str | None = None,
) -> Bundle:
    """Copy a bundle to ``out`` with these verdicts, its probabilities for these prevalences.

    Weights and operating points stay: the same films are flagged, but for findings that are not
    assessed.

    Raises
    ------
    BundleExists
    """
    if out.exists():
        raise BundleExists(f"{out} exists; write into a new folder")
    shutil.copytree(bundle.folder, out)
    if version is not None:
        renumber(out, version, "hilum judge")
    calibrations = verdicts.on(at_prevalences(bundle.metadata.hilum.readings, prevalences))
    metadata = json.loads((out / METADATA).read_text())
    stored = {
        label: calibration.model_dump(mode="json") for label, calibration in calibrations.items()
    }
    metadata["hilum"]["readings"] = stored
    (out / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    judged = load_bundle(out)
    renew_card(out, judged.identity.version, judged.metadata.hilum)
    return judged
