"""How frequent findings are where a bundle's probabilities are to hold.

Probabilities learnt on films that were collected for their findings are no prevalences: half of
one source of ours is Pneumonia. What a film looks like stays, the odds before looking change
(`inference.model.operating_points.at_prevalence`).

References
----------
Wang et al., ChestX-ray8, CVPR 2017; the counts are those of NIH's ``Data_Entry_2017_v2020.csv``.
"""

from collections.abc import Mapping
from typing import Literal, cast, get_args

from inference.findings import LABELS
from inference.model.calibration import OutputCalibration
from inference.model.operating_points import at_prevalence
from training.settings import BadSetting

Prevalences = Literal["nih", "films"]

NIH_FILMS = 112_120
NIH_COUNTS: Mapping[str, int] = {
    "Atelectasis": 11_559,
    "Cardiomegaly": 2_776,
    "Effusion": 13_317,
    "Infiltration": 19_894,
    "Mass": 5_782,
    "Nodule": 6_331,
    "Pneumonia": 1_431,
    "Pneumothorax": 5_302,
    "Consolidation": 4_667,
    "Edema": 2_303,
    "Emphysema": 2_516,
    "Fibrosis": 1_686,
    "Pleural_Thickening": 3_385,
    "Hernia": 227,
}


def read_prevalences(name: str) -> Prevalences:
    """Return the choice of that name.

    Raises
    ------
    BadSetting
    """
    if name not in get_args(Prevalences):
        raise BadSetting(f"prevalences {name!r} are none of {', '.join(get_args(Prevalences))}")
    return cast(Prevalences, name)


def at_prevalences(
    calibrations: Mapping[str, OutputCalibration], chosen: Prevalences
) -> dict[str, OutputCalibration]:
    """Return readings for films among which findings are as frequent as chosen.

    "nih": as in the whole of ChestX-ray14; "films": as in those that the readings were fitted on.
    """
    if chosen == "films":
        return dict(calibrations)
    return {
        label: at_prevalence(calibrations[label], NIH_COUNTS[label] / NIH_FILMS) for label in LABELS
    }
