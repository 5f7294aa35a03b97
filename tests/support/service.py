"""The whole service as processes, its peers, and how to wait for them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

from peers import require_peer
from ports import free_port

# its built-in list has no Comprehensive 3D SR
ACCEPTED = Path(__file__).with_name("storescp.cfg")
PATIENCE_S = 240  # a loaded machine imports torch in a minute


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S):
    """Return the condition's first true value; fail with ``what`` after the deadline.

    It asks less and less often: most conditions ask the dashboard, which needs the processor too.
    """
    tick, pause_s, deadline = Event(), 0.05, monotonic() + timeout_s
    while not (value := condition()):
        assert monotonic() < deadline, f"waited {timeout_s} s for {what}"
        tick.wait(pause_s)
        pause_s = min(pause_s * 1.2, 0.25)
    return value


@dataclass
class StoreScp:
    """DCMTK's storescp as a destination; ``option`` stands for its profile, as "+xi" does."""

    folder: Path
    option: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.folder.mkdir(exist_ok=True)
        command = [require_peer("storescp"), "-v", "-aet", "PACS", "-od", self.folder]
        command += [self.option] if self.option else ["-xf", ACCEPTED, "Default"]
        with (self.folder.parent / "storescp.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._listens, "storescp to listen", 30)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


def destination(port: int, name: str = "pacs", ae_title: str = "PACS") -> str:
    """Write a destination on this machine, which is tried again soon."""
    return (
        f'[[destinations]]\nname = "{name}"\nae_title = "{ae_title}"\nhost = "127.0.0.1"\n'
        f"port = {port}\nfirst_retry_s = 0.5\nlongest_retry_s = 1\n"
    )


# a picture and a report, and the comparison: what storescp's profile takes, and the fastest
FEWEST_RESULTS = "[results]\nfinding_captures = 0\npresentation_state = false\n"


class Service:
    """`hilum serve` in a folder of its own, on free ports."""

    def __init__(
        self, folder: Path, bundle: Path, extra: str = FEWEST_RESULTS, **environment: str
    ) -> None:
        self.environment = {"OMP_NUM_THREADS": "1"} | environment
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(
            f"[archive]\nreserve_mb = 1\n[receiver]\nport = 0\n[dashboard]\nport = 0\n"
            f"[inference]\nbundle = {json.dumps(str(bundle))}\ndevice = 'cpu'\n{extra}"
        )
        self.log = folder / "service.log"
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self) -> None:
        """Start and wait for the ready line."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scp.cli", "serve", "--config", str(self.config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=os.environ | self.environment,
            )
        self.ready_line = self.process.stdout.readline()
        found = re.search(r"@127.0.0.1:(\d+) .*http://127.0.0.1:(\d+)", self.ready_line)
        assert found, f"no ready line; the log says: {self.log.read_text()[-2000:]}"
        self.dicom_port, self.http_port = int(found[1]), int(found[2])

    def stop(self, number: int, within_s: float) -> None:
        """Stop as an operator does; fail when it takes longer."""
        self.process.send_signal(number)
        self.process.wait(within_s)

    def pull_the_plug(self) -> None:
        """Kill every process of the service at once, without a word."""
        command = ["pgrep", "-P", str(self.process.pid)]
        children = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.process.kill()
        for pid in children.split():
            os.kill(int(pid), signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.stdout.close()

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}") as answer:
            return answer.read()

    def film(self, uid: str) -> dict:
        return json.loads(self.get(f"/api/films/{uid}"))

    def outcome(self, uid: str) -> dict:
        """Wait until a film has its outcome, and return it."""
        return wait_for(
            lambda: (film := self.film(uid))["state"] not in ("received", "analysed") and film,
            f"the outcome of {uid}",
        )

    def delivered(self, uid: str, destination: str = "pacs") -> dict:
        """Wait until a film's whole answer is delivered to a destination."""

        def done():
            film = self.film(uid)
            states = self.delivery_states(film, destination)
            return film["state"] == "answered" and set(states) == {"delivered"} and film

        return wait_for(done, f"the delivery of {uid}")

    @staticmethod
    def delivery_states(film: dict, destination: str) -> list[str]:
        deliveries = [d for r in film["results"] for d in r["deliveries"]]
        return [d["state"] for d in deliveries if d["destination"] == destination]

    def storescu(self, *paths: Path) -> None:
        """Send with DCMTK, every transfer syntax as it is."""
        command = [require_peer("dcmsend"), "-aec", "HILUM", "--decompress-never"]
        subprocess.run(
            [*command, "127.0.0.1", str(self.dicom_port), *paths], check=True, capture_output=True
        )

    def hilum(self, *arguments: str) -> str:
        """Run a command beside the service; return what it prints."""
        command = [sys.executable, "-m", "scp.cli", *arguments, "--config", str(self.config)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def pid_of(self, role: str) -> int:
        """Return the process of a role, from its own log line's heartbeat."""
        command = ["pgrep", "-P", str(self.process.pid), "-f", f"scp.cli {role} "]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
