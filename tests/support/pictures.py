"""Make the pictures of README and docs anew: `make pictures`. Look at each before it is kept.

Made: those of results, with the shipped network, those of the dashboard's pages, and those of OHIF
where it and Orthanc are there. The demonstration's needs Docker: `PICTURE=... docker/test.sh`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import clinic
from clinic import PICTURES, SHOWN
from films import philips_cr
from ohif import DIST, open_viewer
from orthanc import DICOMWEB, Orthanc
from pydicom import dcmread
from study import make_study

from scp.commands.demo import simulated_prior

RESULTS = {
    "current-summary-capture.png": "findings.png",
    "current-finding-capture.png": "finding.png",
    "current-comparison-capture.png": "comparison.png",
}


def results() -> None:
    """Read the demonstration's films as `hilum analyse` does, with all maps.

    Few maps of the shipped network are verified; a picture says of each that is not.
    """
    with tempfile.TemporaryDirectory() as folder:
        films, out = Path(folder) / "films", Path(folder) / "out"
        films.mkdir()
        current = dcmread(philips_cr())
        for name, ds in (("earlier", simulated_prior(current)), ("current", current)):
            ds.save_as(films / f"{name}.dcm", enforce_file_format=True)
        command = (sys.executable, "-m", "scp.cli", "analyse", str(films), "--out", str(out))
        subprocess.run(command, check=True, env={**os.environ, **SHOWN})
        for made, kept in RESULTS.items():
            shutil.copy(out / made, PICTURES / kept)


def viewer() -> None:
    """Open invented findings of that film in OHIF."""
    study = make_study(philips_cr())
    uids = study.film.StudyInstanceUID, study.prior.StudyInstanceUID
    with tempfile.TemporaryDirectory() as folder, Orthanc(Path(folder)) as orthanc:
        orthanc.store([study.film, study.prior, *(made.ds for made in study.objects)])
        with open_viewer(orthanc.http_port, PICTURES) as shown:
            shown.open(uids[0])
            shown.open_series(study.made("summary-capture").SeriesDescription)
            shown.drawn(coloured=True)
            shown.shot("viewer-summary")
            shown.open(uids[0])
            shown.open_series(study.made("report").SeriesDescription)
            shown.texts("Nodule")
            shown.shot("viewer-report")
            shown.open(*uids, hangingprotocolId="@ohif/hpCompare")
            shown.drawn(2)
            shown.shot("viewer-prior")


if __name__ == "__main__":
    results()
    clinic.renew()
    if DIST.is_dir() and DICOMWEB.is_file():
        viewer()
    else:
        sys.exit("OHIF (make ohif) or Orthanc is not there: its pictures are the old ones")
