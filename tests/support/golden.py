"""Pictures that were looked at, to compare with. Make them anew: python tests/support/golden.py"""

from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "golden"
WIDTH = 400


def golden_path(kind: str) -> Path:
    return FOLDER / f"{kind}.png"


def load_golden(kind: str) -> Image.Image:
    return Image.open(golden_path(kind)).convert("RGB")


def as_golden(picture: Image.Image) -> Image.Image:
    """Scale a picture to the size in which golden ones are kept."""
    rows = round(picture.height * WIDTH / picture.width)
    return picture.convert("RGB").resize((WIDTH, rows), Image.Resampling.LANCZOS)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference in grey levels of 255; all of them for another size."""
    if one.size != other.size:
        return 255.0
    a, b = (np.asarray(picture, np.float32) for picture in (one, other))
    return float(np.abs(a - b).mean())


def renew() -> None:
    from films import philips_cr
    from study import make_study

    FOLDER.mkdir(exist_ok=True)
    study = make_study(philips_cr())
    for kind in ("summary-capture", "finding-capture", "comparison-capture"):
        picture = as_golden(Image.fromarray(study.made(kind).pixel_array))
        picture.save(golden_path(kind), optimize=True)


if __name__ == "__main__":
    renew()
