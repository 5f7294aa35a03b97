"""Archives to be asked for priors: DCMTK's dcmqrscp, and pynetdicom's SCP with odd manners."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from network import DEADLINE_S
from peers import require_peer
from ports import free_port
from pydicom import Dataset, FileDataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from service import wait_for

from scp.dimse.peers import TRANSFER_SYNTAXES

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove

CONFIG = """
NetworkTCPPort  = {port}
MaxPDUSize      = 131072
MaxAssociations = 16
HostTable BEGIN
hilum = (HILUM, 127.0.0.1, {receiver_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS  {store} RW (1000, 1024mb) ANY
AETable END
"""


@dataclass
class QrScp:
    """DCMTK's dcmqrscp as the PACS, which moves to HILUM at ``receiver_port``."""

    folder: Path
    receiver_port: int = 1
    options: tuple[str, ...] = ("--prefer-uncompr",)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "QrScp":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, with what an earlier start was filled with."""
        command = require_peer("dcmqrscp")
        store = self.folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        config = self.folder / "dcmqrscp.cfg"
        config.write_text(
            CONFIG.format(port=self.port, receiver_port=self.receiver_port, store=store)
        )
        with (self.folder / "dcmqrscp.log").open("a") as log:
            self.process = subprocess.Popen(
                [command, "-v", "-c", config, *self.options, str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it forks for each association
            )
        wait_for(self._listens, "dcmqrscp to listen", DEADLINE_S)

    def stop(self) -> None:
        """Be away; connections are refused."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Be connected to, and say nothing."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def fill(self, *films: FileDataset) -> None:
        """Store films, each in its own transfer syntax."""
        kinds = sorted({(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in films})
        ae = AE()
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
        association = ae.associate(
            "127.0.0.1",
            self.port,
            ae_title="PACS",
            contexts=[build_context(uid, syntax) for uid, syntax in kinds],
        )
        assert association.is_established
        assert [association.send_c_store(ds).get("Status") for ds in films] == [0] * len(films)
        association.release()
        wait_for(lambda: not association.is_alive(), "the association to end", DEADLINE_S)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


Answers = Iterator[tuple[int, Dataset | None]]


class OddPacs:
    """pynetdicom's SCP, whose every answer a function gives."""

    def __init__(
        self,
        find: Callable[[evt.Event], Answers] | None = None,
        get: Callable[[evt.Event], Iterator] | None = None,
        move: Callable[[evt.Event], Iterator] | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        self.events: list[str] = []
        self._ae = AE(ae_title="PACS")
        self._ae.network_timeout = self._ae.dimse_timeout = DEADLINE_S
        for uid, handler in ((FIND, find), (GET, get), (MOVE, move)):
            if handler is not None:
                self._ae.add_supported_context(uid)
        for uid in also:
            self._ae.add_supported_context(uid, TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
        bound = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
        self._handlers = [(event, handler) for event, handler in bound if handler is not None]
        self._handlers += [
            (evt.EVT_ABORTED, self._note("abort")),
            (evt.EVT_RELEASED, self._note("release")),
            (evt.EVT_DIMSE_RECV, self._note_message),
        ]

    def __enter__(self) -> "OddPacs":
        self._server = self._ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=self._handlers
        )
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._ae.shutdown()
        wait_for(
            lambda: not self._ae.active_associations, "the end of the associations", DEADLINE_S
        )

    def require_called_title(self) -> None:
        self._ae.require_called_aet = True

    def require_calling_title(self, title: str) -> None:
        self._ae.require_calling_aet = [title]

    def _note(self, word: str) -> Callable[[evt.Event], None]:
        return lambda _event: self.events.append(word)

    def _note_message(self, event: evt.Event) -> None:
        self.events.append(type(event.message).__name__)
