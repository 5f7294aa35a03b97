"""The running service with TLS alone: films in, answers out, and nobody without."""

import json
import re
import socket
import subprocess

from certificates import Authority
from network import film, save
from peers import require_peer
from service import Service, StoreScp, wait_for


class TlsStoreScp(StoreScp):
    """DCMTK's storescp that takes TLS alone, and wants a certificate."""

    tls = ()

    def start(self):
        self.folder.mkdir(exist_ok=True)
        command = [require_peer("storescp"), "-v", "-aet", "PACS", "-od", self.folder, "-pm"]
        command += ["+py", *self.tls, self.port]
        with (self.folder.parent / "storescp.log").open("a") as log:
            self.process = subprocess.Popen(
                [*map(str, command)], stdout=log, stderr=subprocess.STDOUT
            )
        wait_for(self._listens, "storescp to listen", 30)


def test_a_film_comes_by_tls_and_its_answer_goes_by_tls(tmp_path, tiny_bundle):
    authority = Authority(tmp_path / "ca")
    own, pacs, sender = (authority.issue(name) for name in ("hilum", "PACS", "XRAY1"))
    files = f'ca = "{authority.ca}"\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n'
    destination = TlsStoreScp(tmp_path / "pacs")
    destination.tls = ("+tls", pacs.key, pacs.certificate, "+cf", authority.ca)
    extra = (
        "[results]\nfinding_captures = 0\npresentation_state = false\nnot_analysed = true\n"
        f'[receiver.tls]\nmode = "only"\nport = 0\n{files}'
        '[[receiver.peers]]\nae_title = "XRAY1"\nhost = "127.0.0.1"\ntls = true\n'
        'certificate_names = ["XRAY1"]\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
        f"port = {destination.port}\n[destinations.tls]\nenabled = true\n{files}"
    )
    path = save(film(), tmp_path / "sent" / "film.dcm")
    with destination, Service(tmp_path, tiny_bundle, extra) as service:
        assert re.search(r"@127.0.0.1:\d+ \(TLS\) ", service.ready_line)
        where = ["-aet", "XRAY1", "-aec", "HILUM", "127.0.0.1", str(service.dicom_port)]
        good = ["+tls", sender.key, sender.certificate, "+cf", authority.ca]
        store = [require_peer("storescu"), "+py"]
        without = subprocess.run(
            [*map(str, [*store[:1], *where, path])], check=False, capture_output=True
        )
        assert without.returncode != 0
        subprocess.run([*map(str, [*store, *good, *where, path])], check=True, timeout=120)
        wait_for(destination.files, "the answer")
        with socket.create_connection(("127.0.0.1", service.http_port), 30) as web:
            web.sendall(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            answer = web.makefile("rb").read().decode()
    for used_by in ("receiver", "destination pacs"):
        assert f"hilum_certificate_expires_seconds{{used_by={json.dumps(used_by)}}} 7" in answer
