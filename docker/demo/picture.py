"""A picture of the demonstration: OHIF with the study of the current film, as a browser shows it.

    python docker/demo/picture.py http://127.0.0.1:3000 docs/pictures/demo.png

Waits until hilum's answers are there; needs Chromium and the tests' dependencies. docker/test.sh
runs it where PICTURE is set.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from ohif import viewer_at

STUDY = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"  # of pydicom-data's RG1_UNCR.dcm


def main() -> None:
    """Wait for the answers, open the summary, keep what is on the screen."""
    address, out = sys.argv[1], Path(sys.argv[2])
    with viewer_at(address, out.parent) as viewer:
        viewer.open(STUDY)
        viewer.open_series("AI chest X-ray findings (RUO)")
        viewer.drawn(coloured=True)
        viewer.shot(out.stem)


if __name__ == "__main__":
    main()
