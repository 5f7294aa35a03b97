"""The role `receive`: films in over DICOM."""

import os
from threading import Thread

import structlog

from scp.archive import Archive
from scp.config.load import Settings
from scp.index.associations import write_tally
from scp.index.heartbeats import Role
from scp.outcomes.associations import Tally
from scp.processes.runtime import (
    Stop,
    beat_until,
    begin_role,
    now,
    open_context,
    this_start,
    wait_until,
)
from scp.processes.sockets import ReceiverSockets

_LEFTOVERS_S = 3600.0  # older files in incoming/ belong to associations that broke

log = structlog.get_logger(__name__)


def receive(settings: Settings, listening: ReceiverSockets, name: str, stop: Stop) -> None:
    """Run a receiver on listening sockets.

    Raises
    ------
    CertificateUnusable
        A file that TLS needs cannot be used.
    """
    from scp.dimse.receiver import Receiver  # noqa: PLC0415 -- each role loads only what it needs
    from scp.processes.taking_in import make_intake  # noqa: PLC0415

    with open_context(settings) as context:
        priors = settings.priors
        intake = make_intake(context)
        tally = Tally()
        receiver = Receiver(
            settings.receiver,
            intake.ingest,
            listening.plain,
            context.archive.incoming,
            tls_listening=listening.tls,
            take_prior=intake.ingest_prior,
            tell=tally.add,
            require_space=context.archive.require_space,
            secondary_captures=settings.gate.accept_secondary_capture,
            moved_by=priors.ae_title if priors.retrieve == "move" else None,
        )
        start_id = this_start()
        begin_role(context, name, "receive", start_id)
        thread = Thread(target=receiver.serve, name="receiver", daemon=True)
        thread.start()
        details = {"ae_title": settings.receiver.ae_title, "listening": str(listening)}
        log.info("receiving", **details)
        role = Role(
            name,
            "receive",
            os.getpid(),
            details | {"associations": 0, "at_most": settings.receiver.max_associations},
            start_id,
        )

        def every_beat() -> None:
            role.details["associations"] = receiver.slots_in_use
            _sweep(context.archive)
            write_tally(context.engine, tally, now())

        beat_until(stop, context, role, every_beat=every_beat, works=thread.is_alive)
        receiver.stop(wait_until)
        log.info("stopped")


def _sweep(archive: Archive) -> None:
    """Delete what broken associations left behind: a temp folder must not fill up."""
    gone = archive.discard_partial(_LEFTOVERS_S, now().timestamp())
    if gone:
        log.info("leftovers deleted", files=gone)
