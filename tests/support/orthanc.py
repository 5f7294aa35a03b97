"""A real Orthanc, with its DICOMweb plug-in and no other, on ports and in a folder of its own."""

import io
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from peers import require_peer
from PIL import Image
from ports import free_port
from pydicom import Dataset, FileDataset, dcmread
from service import wait_for

from scp.config.destinations import DestinationSettings
from scp.dimse.sender import send
from scp.outcomes.sending import describe
from scp.results.objects import to_bytes

PATIENCE_S = 60
# without the GDCM plug-in: that of Debian 12 ends Orthanc when a viewer fetches a segmentation
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


# as an administrator would write it: films that come from elsewhere go on to hilum
ROUTING = Path(__file__).parents[2] / "docker" / "demo" / "routing.lua"


@dataclass
class Orthanc:
    """Orthanc as PACS; with ``routes_to`` it sends films on to that port."""

    folder: Path
    routes_to: int | None = None
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    def __enter__(self) -> "Orthanc":
        if not DICOMWEB.exists():
            require_peer("orthanc-dicomweb")  # no such program: skipped here, failed in CI
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration()))
        self._log = (self.folder / "orthanc.log").open("wb")
        self._process = subprocess.Popen(
            [require_peer("Orthanc"), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", timeout=PATIENCE_S)
        wait_for(self._answers, "Orthanc", PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()

    @property
    def destination(self) -> DestinationSettings:
        """Orthanc as hilum's sender knows it."""
        return DestinationSettings(
            name="orthanc", ae_title="ORTHANC", host="127.0.0.1", port=self.dicom_port
        )

    def store(self, objects: Iterable[Dataset]) -> None:
        """Send objects as hilum sends them."""
        folder = self.folder / "sent"
        folder.mkdir(exist_ok=True)
        paths = []
        for ds in objects:
            paths.append(folder / f"{ds.SOPInstanceUID}.dcm")
            paths[-1].write_bytes(to_bytes(ds))
        for sent in send(self.destination, "HILUM", [describe(path) for path in paths]):
            assert sent.outcome.delivered, str(sent.outcome)
        shutil.rmtree(folder)

    def read_back(self, ds: Dataset) -> FileDataset:
        """Return what Orthanc gives to one who asks for an object."""
        (found,) = self.find(ds.SOPInstanceUID)
        answer = self.http.get(f"/instances/{found}/file").raise_for_status()
        return dcmread(io.BytesIO(answer.content))

    def rendered(self, ds: Dataset) -> Image.Image:
        """Return an image as Orthanc shows it, over DICOMweb (PS3.18 10.4)."""
        path = (
            f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
            f"/instances/{ds.SOPInstanceUID}/rendered"
        )
        answer = self.http.get(path, headers={"Accept": "image/png"}).raise_for_status()
        return Image.open(io.BytesIO(answer.content)).convert("RGB")

    def find(self, uid: str) -> list[str]:
        """Return Orthanc's own names of what it has under a SOP Instance UID."""
        query = {"Level": "Instance", "Query": {"SOPInstanceUID": str(uid)}}
        return self.http.post("/tools/find", json=query).raise_for_status().json()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "orthanc.log").read_text()[-2000:]
        try:
            return self.http.get("/system").is_success
        except httpx.TransportError:
            return False

    def _configuration(self) -> dict[str, object]:
        routing: dict[str, object] = {}
        if self.routes_to is not None:
            routing["LuaScripts"] = [str(ROUTING)]
            routing["DicomModalities"] = {"hilum": ["HILUM", "127.0.0.1", self.routes_to]}
        return routing | {
            "Name": "hilum's tests",
            "StorageDirectory": str(self.folder),
            "IndexDirectory": str(self.folder),
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "Plugins": [str(DICOMWEB)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full"},
        }


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    """An Orthanc for all tests of a process."""
    with Orthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        yield orthanc
