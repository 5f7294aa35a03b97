"""A running service with real films.

`python tests/support/clinic.py` renews the pictures of its pages.
"""

import copy
import tempfile
from pathlib import Path

from browser import open_tab
from films import philips_cr
from pydicom import dcmread
from pydicom.uid import generate_uid
from service import FEWEST_RESULTS, Service, StoreScp, destination

from inference.model.metadata import bundle_folder
from scp.commands.demo import simulated_prior

# of the bundle that ships few maps are verified, and at its own threshold it misses the masses of
# this film: pages and pictures are to show maps and outlines all the same
SHOWN = {"HILUM_RESULTS__MAPS": "all", "HILUM_RESULTS__THRESHOLDS": '{"Mass": 0.05}'}
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


class Clinic:
    """A running service with a film, its prior, and a still earlier one; the PACS is down."""

    def __init__(self, folder: Path) -> None:
        self.pacs = StoreScp(folder / "received")
        extra = FEWEST_RESULTS + destination(self.pacs.port) + "give_up_after_h = 0.000001\n"
        self.folder = folder
        settings = {"HILUM_DASHBOARD__REFRESH_S": "2"} | SHOWN
        self.service = Service(folder, bundle_folder(), extra, **settings)
        self.current = dcmread(philips_cr())
        self.prior = simulated_prior(self.current)
        self.oldest = again(self.prior, "19990102")

    def send(self, *films) -> None:
        """Send films one after the other, and wait for each answer."""
        for ds in films:
            path = self.folder / f"{ds.SOPInstanceUID}.dcm"
            ds.save_as(path, enforce_file_format=True)
            self.service.storescu(path)
            self.service.outcome(ds.SOPInstanceUID)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.service.http_port}"

    @property
    def film(self) -> str:
        return f"/films/{self.current.SOPInstanceUID}"


def again(film, day: str):
    """The same picture as a film of another day."""
    other = copy.deepcopy(film)
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(other, keyword, day)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(other, keyword, generate_uid())
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    return other


def renew() -> None:
    """Make the pictures of the pages that stand in the documentation."""
    with tempfile.TemporaryDirectory() as folder:
        clinic = Clinic(Path(folder))
        with clinic.pacs, clinic.service:
            clinic.send(clinic.oldest, clinic.prior, clinic.current)
            clinic.service.delivered(clinic.current.SOPInstanceUID)
            size = {"width": 1280, "height": 800}
            with open_tab(clinic.address, PICTURES, viewport=size) as tab:
                tab.open("/")
                tab.page.wait_for_timeout(1500)  # the small pictures
                tab.shot("page-worklist")
                tab.open(clinic.film)
                tab.press("1")
                tab.page.wait_for_timeout(1500)
                tab.shot("page-film")
                tab.open(f"{clinic.film}/compare")
                tab.press("d")
                tab.page.wait_for_timeout(1500)
                tab.shot("page-comparison")


if __name__ == "__main__":
    renew()
