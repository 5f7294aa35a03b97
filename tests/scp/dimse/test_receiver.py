"""The storage SCP on a real socket, spoken to by DCMTK and pynetdicom."""

import subprocess
import tracemalloc

import pytest
from bombs import deflated_bomb
from network import (
    DEADLINE_S,
    ECHO,
    associated,
    data_set,
    data_set_bytes,
    database_away,
    echo,
    film,
    open_stores,
    port_of,
    raw,
    receiving,
    rejection,
    save,
    store,
)
from peers import require_peer
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
)
from pynetdicom.sop_class import Verification
from syntaxes import encoded

from scp.archive import Archive
from scp.config.network import Peer, ReceiverSettings
from scp.config.storage import ArchiveSettings
from scp.dimse.peers import TRANSFER_SYNTAXES, is_known
from scp.errors import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    DUPLICATE_SOP_INSTANCE,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)

DX = DigitalXRayImageStorageForPresentation
LOOPBACK = {"ae_title": "XRAY1", "host": "127.0.0.1"}


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def test_dcmtk_is_answered_on_echo_and_store(stores, tmp_path):
    path = save(film(), tmp_path / "sent" / "film.dcm")
    with receiving(stores) as receiver:
        where = ["-aec", "HILUM", "127.0.0.1", str(port_of(receiver))]
        subprocess.run([require_peer("echoscu"), *where], check=True, timeout=DEADLINE_S)
        subprocess.run([require_peer("storescu"), *where, path], check=True, timeout=DEADLINE_S)
    (row,) = stores.instances()
    assert row.uid == film().SOPInstanceUID
    assert row.calling_ae_title == "STORESCU"
    assert len(stores.jobs_by_id()) == 1


# --- refusals: each with its status -------------------------------------------------------------


def test_a_resend_is_a_success(stores):
    with receiving(stores) as receiver:
        assert [store(port_of(receiver), film()) for _ in range(2)] == [SUCCESS, SUCCESS]
    assert len(stores.instances()) == len(stores.jobs_by_id()) == 1


def test_other_bytes_under_a_known_uid_are_answered_duplicate(stores):
    other = film(seed=2)
    other.SOPInstanceUID = film(seed=1).SOPInstanceUID
    with receiving(stores) as receiver:
        assert store(port_of(receiver), film(seed=1)) == SUCCESS
        assert store(port_of(receiver), other) == DUPLICATE_SOP_INSTANCE
    assert len(stores.instances()) == len(stores.refused()) == 1


def test_a_full_disk_is_answered_out_of_resources_and_keeps_nothing(tmp_path):
    with open_stores(tmp_path, Archive(tmp_path, ArchiveSettings(reserve_mb=10**9))) as stores:
        with receiving(stores) as receiver:
            assert store(port_of(receiver), film()) == OUT_OF_RESOURCES
        assert stores.files("incoming") == stores.files("quarantine") == []


def test_a_database_that_is_away_is_answered_processing_failure_and_then_success(stores):
    with receiving(stores) as receiver:
        with database_away(stores):
            assert store(port_of(receiver), film()) == PROCESSING_FAILURE
        assert stores.files("incoming") == []
        assert store(port_of(receiver), film()) == SUCCESS
    assert len(stores.instances()) == 1


def test_a_data_set_of_another_class_than_its_context_is_answered_so(stores):
    ds = film(sop_class=ComputedRadiographyImageStorage)
    with receiving(stores) as receiver, raw(receiver) as peer:
        assert peer.store(data_set(ds), ds.SOPInstanceUID) == DOES_NOT_MATCH_SOP_CLASS
    assert stores.refused()[0].status == DOES_NOT_MATCH_SOP_CLASS


def test_a_class_that_was_not_agreed_on_does_not_slip_in_under_another_ones_context(stores):
    ds = film(sop_class=SecondaryCaptureImageStorage)
    with receiving(stores) as receiver, raw(receiver) as peer:
        status = peer.store(data_set(ds), ds.SOPInstanceUID, sop_class=ds.SOPClassUID)
        assert status == DOES_NOT_MATCH_SOP_CLASS
    assert stores.instances() == []


@pytest.mark.parametrize("data", [b"\xff" * 64, b"\x08\x00\x18\x00UI", b"no data set at all"])
def test_bytes_that_are_no_data_set_are_answered_cannot_understand_and_kept(stores, data):
    with receiving(stores) as receiver, raw(receiver) as peer:
        assert peer.store(data, "1.2.3") == CANNOT_UNDERSTAND
        assert peer.echo() == SUCCESS  # one odd film does not end the association
    (kept,) = stores.files("quarantine")
    assert kept.read_bytes().endswith(data)
    assert stores.refused()[0].sop_instance_uid == "1.2.3"


def test_a_deflated_data_set_without_end_is_refused_in_little_memory(stores, tmp_path):
    path = deflated_bomb(tmp_path / "bomb.dcm")
    tracemalloc.start()
    try:
        with receiving(stores) as receiver, raw(receiver, DeflatedExplicitVRLittleEndian) as peer:
            sent = data_set_bytes(path)
            assert peer.store(sent, film().SOPInstanceUID) == CANNOT_UNDERSTAND
        assert tracemalloc.get_traced_memory()[1] < 32_000_000
    finally:
        tracemalloc.stop()
    (refused,) = stores.refused()
    assert "inflates to more than 512 MB" in refused.reason
    assert stores.files("incoming") == []


def test_a_store_request_without_a_data_set_is_answered_cannot_understand(stores):
    with receiving(stores) as receiver, raw(receiver) as peer:
        assert peer.store(None, "1.2.3") == CANNOT_UNDERSTAND
        assert peer.echo() == SUCCESS


def test_a_uid_that_tries_to_climb_out_of_the_archive_is_refused(stores, tmp_path):
    ds = film()
    with receiving(stores) as receiver, raw(receiver) as peer:
        assert peer.store(data_set(ds), "../../../evil\n1") == CANNOT_UNDERSTAND
    assert stores.refused()[0].sop_instance_uid == "../../../evil?1"
    assert list(tmp_path.parent.rglob("*evil*")) == []


# --- who may speak ------------------------------------------------------------------------------


def test_an_unknown_calling_ae_title_is_rejected_for_good(stores):
    with receiving(stores, peers=[LOOPBACK]) as receiver:
        for _ in range(20):  # the rejection must reach the peer before the socket closes
            assert rejection(port_of(receiver), calling="STRANGER") == (1, 1, 3)
        assert echo(port_of(receiver), calling="XRAY1") == SUCCESS


def test_a_known_ae_title_from_another_address_is_rejected(stores):
    with receiving(stores, peers=[{"ae_title": "XRAY1", "host": "192.0.2.7"}]) as receiver:
        assert rejection(port_of(receiver), calling="XRAY1") == (1, 1, 3)


def test_a_wrong_called_ae_title_is_rejected(stores):
    with receiving(stores) as receiver:
        assert rejection(port_of(receiver), called="ANYBODY") == (1, 1, 7)


@pytest.mark.parametrize("host", ["a" * 70, "no such host", "..", ""])
def test_a_peer_whose_host_cannot_be_looked_up_lets_nobody_in(stores, host):
    with receiving(stores, peers=[{"ae_title": "XRAY1", "host": host}]) as receiver:
        assert rejection(port_of(receiver), calling="XRAY1") == (1, 1, 3)


def test_a_peer_list_that_breaks_lets_nobody_in(stores):
    with receiving(stores) as receiver:
        receiver.callers.peers = [None]
        assert echo(port_of(receiver)) is None
        receiver.callers.peers = []
        assert echo(port_of(receiver)) == SUCCESS


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.2", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("2001:db8::1", False),
    ],
)
def test_without_peers_only_this_machine_is_known(address, known):
    assert is_known([], "ANYTHING", address) is known


@pytest.mark.parametrize("host", ["a" * 70, "no such host", "..", ""])
def test_a_host_that_cannot_be_looked_up_is_nobody(host):
    assert not is_known([Peer(ae_title="XRAY1", host=host)], "XRAY1", "192.0.2.7")


@pytest.mark.parametrize(
    ("title", "address", "known"),
    [
        ("XRAY1", "192.0.2.7", True),
        ("XRAY1", "::ffff:192.0.2.7", True),
        ("XRAY1", "192.0.2.8", False),
        ("xray1", "192.0.2.7", False),
        ("XRAY2", "192.0.2.7", False),
        ("PACS 1", "2001:db8::1", True),
        ("PACS 1", "2001:0db8:0:0::0001", True),
        ("PACS 1", "192.0.2.7", False),
    ],
)
def test_a_peer_is_its_ae_title_and_its_address(title, address, known):
    peers = [
        Peer(ae_title="XRAY1", host="192.0.2.7"),
        Peer(ae_title=" PACS 1 ", host="2001:db8::1"),
    ]
    assert is_known(peers, title, address) is known


def test_without_peers_this_machine_itself_is_no_longer_known_once_there_are_some():
    assert not is_known([Peer(ae_title="XRAY1", host="192.0.2.7")], "XRAY1", "127.0.0.1")


@pytest.mark.parametrize("title", ["", "   ", "A\\B", "Ä", "A\nB", "SEVENTEEN_LETTERS"])
def test_what_can_be_no_ae_title_is_refused_by_the_settings(title):
    with pytest.raises(ValueError, match="ae_title"):
        ReceiverSettings(ae_title=title)


def test_an_ae_title_with_spaces_around_it_is_called_without_them(stores):
    with receiving(stores, ae_title=" MY HILUM ") as receiver:
        assert echo(port_of(receiver), called="MY HILUM") == SUCCESS


# --- what is taken ------------------------------------------------------------------------------


def test_secondary_captures_are_taken_only_when_switched_on(stores):
    ds = film(sop_class=SecondaryCaptureImageStorage)
    contexts = [*ECHO, (ds.SOPClassUID, [ExplicitVRLittleEndian])]
    with receiving(stores) as receiver, associated(port_of(receiver), contexts) as association:
        assert [cx.abstract_syntax for cx in association.accepted_contexts] == [Verification]
    with receiving(stores, secondary_captures=True) as receiver:
        assert store(port_of(receiver), ds) == SUCCESS


def test_other_classes_are_no_presentation_context(stores):
    contexts = [*ECHO, (CTImageStorage, [ExplicitVRLittleEndian])]
    with receiving(stores) as receiver, associated(port_of(receiver), contexts) as association:
        assert [cx.abstract_syntax for cx in association.accepted_contexts] == [Verification]


def encoded_film(syntax, folder):
    bits = 8 if syntax == JPEGBaseline8Bit else 12
    return encoded(folder, syntax, rows=32, columns=32, bits_stored=bits)


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_arrives_as_it_was_sent(stores, tmp_path, syntax):
    sent = encoded_film(syntax, tmp_path)
    ds = dcmread(sent)
    assert ds.file_meta.TransferSyntaxUID == syntax
    with receiving(stores) as receiver, raw(receiver, syntax) as peer:
        assert peer.store(data_set_bytes(sent), ds.SOPInstanceUID) == SUCCESS
    (row,) = stores.instances()
    kept = stores.archive.path(row.path)
    assert row.transfer_syntax_uid == dcmread(kept).file_meta.TransferSyntaxUID == syntax
    assert data_set_bytes(kept) == data_set_bytes(sent)
    if has_decoder(syntax):
        assert (dcmread(kept).pixel_array == ds.pixel_array).all()


def has_decoder(syntax):
    """Whether this machine decodes it; 12-bit JPEG Extended needs the optional extra."""
    if syntax == JPEGExtended12Bit:
        return "pylibjpeg" in get_decoder(syntax).available_plugins
    return not syntax.is_encapsulated or get_decoder(syntax).is_available


def test_dcmtk_sends_a_compressed_film(stores, tmp_path):
    sent = encoded_film(JPEGLosslessSV1, tmp_path)
    with receiving(stores) as receiver:
        where = ["-aec", "HILUM", "127.0.0.1", str(port_of(receiver))]
        command = [require_peer("storescu"), "-xs", *where, sent]
        subprocess.run(command, check=True, timeout=DEADLINE_S)
    (row,) = stores.instances()
    assert row.transfer_syntax_uid == JPEGLosslessSV1
    assert (dcmread(stores.archive.path(row.path)).pixel_array == dcmread(sent).pixel_array).all()
