"""What `hilum check` says of certificates, their keys, and TLS with others."""

import shutil
import socket
from datetime import timedelta

import pytest
from certificates import Authority, now
from network import open_stores
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from scp.cli import app
from scp.commands.check import _certificate, _destination, _receiver_tls
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.errors import CertificateUnusable, ServiceError
from scp.index.heartbeats import Role, beat, begin
from scp.processes.sockets import open_listener


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def said(files):
    return _certificate(str(files.certificate), str(files.key))


def test_a_certificate_is_said_to_be_valid_for_so_many_days(authority):
    assert "certificate valid for 89 days" in said(authority.issue())
    assert "renew" not in said(authority.issue())


def test_a_certificate_that_ends_within_a_month_is_to_be_renewed(authority):
    soon = authority.issue(ends=now() + timedelta(days=10, hours=1))
    assert "valid for 10 days" in said(soon)
    assert f"renew {soon.certificate} soon" in said(soon)


def test_an_expired_certificate_is_wrong(authority):
    with pytest.raises(CertificateUnusable, match=r"has expired on .*: renew it"):
        said(authority.expired())


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_or_change_is_wrong(authority, mode):
    files = authority.issue()
    files.key.chmod(mode)
    with pytest.raises(CertificateUnusable, match="chmod 600"):
        said(files)


def test_a_file_that_is_no_certificate_is_wrong(authority, tmp_path):
    for path in (authority.issue().key, tmp_path / "gone.pem"):
        with pytest.raises(CertificateUnusable, match=str(path)):
            _certificate(str(path), str(path))


def settings(authority, port, **changed):
    files = authority.issue()
    tls = {
        "mode": "beside",
        "port": port,
        "certificate": str(files.certificate),
        "key": str(files.key),
        "ca": str(authority.ca),
    }
    return Settings(receiver={"tls": tls | changed})


def test_the_port_of_tls_is_free_and_its_files_can_be_used(authority):
    with open_listener("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    assert "is free" in _receiver_tls(settings(authority, port))
    other = authority.issue()
    with pytest.raises(CertificateUnusable, match="is not the key of"):
        _receiver_tls(settings(authority, port, key=str(other.key)))


def test_a_port_of_tls_in_use_is_ours_if_a_receiver_says_so(authority, tmp_path):
    with open_stores(tmp_path) as stores, open_listener("127.0.0.1", 0) as used:
        port = used.getsockname()[1]
        here = settings(authority, port).model_copy(update={"data_dir": tmp_path})
        with pytest.raises(ServiceError, match=r"set \[receiver\.tls\] port"):
            _receiver_tls(here)
        details = {"listening": f"127.0.0.1:11112 and 127.0.0.1:{port} (TLS)"}
        with Session(stores.engine) as session, session.begin():
            role = Role("receive-1", "receive", 1, details, "one")
            begin(session, role, now())
            beat(session, role, now())
        assert _receiver_tls(here) == f"hilum listens by TLS on port {port}"


def test_a_destination_whose_certificate_is_not_good_is_told_with_what_to_do(authority):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        where = DestinationSettings(
            name="pacs",
            ae_title="PACS",
            host="127.0.0.1",
            port=plain.getsockname()[1],
            timeout_s=1,
            tls={"enabled": True, "ca": str(authority.ca)},
        )
        with pytest.raises(ServiceError, match=r"TLS with pacs on PACS@127\.0\.0\.1.* fell silent"):
            _destination(Settings(), where)


def test_hilum_send_refuses_half_the_options_of_tls(authority, tmp_path):
    film = shutil.copy(authority.ca, tmp_path / "film.dcm")
    arguments = ["send", str(film), "--to", "PACS@127.0.0.1:1", "--tls-name", "PACS"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 78
    assert "TLS needs --tls-ca" in done.stderr
