"""Lists of small made-up pictures, as training reads them."""

import csv
from pathlib import Path

import numpy as np
from films import chest
from PIL import Image

from inference.findings import LABELS


def write_film_list(
    folder: Path, patients: int = 8, splits: tuple[str, ...] = ("train", "train", "val", "test")
) -> Path:
    """Write two pictures for each patient, whose splits take turns; return the list."""
    folder.mkdir(exist_ok=True)
    none = dict.fromkeys(LABELS, 0)
    rows = [
        {
            "file": f"{patient}_{film}.png",
            "source_px": (1024, 64)[film],
            "patient_id": patient,
            "split": splits[patient % len(splits)],
            **none,
        }
        for patient in range(patients)
        for film in range(2)
    ]
    for seed, row in enumerate(rows):
        grey = (chest(72, 64, seed=seed) * 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / row["file"])
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "films.csv"
