"""The role `work`: films from the queue, answers into the archive and to the destinations."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread

import structlog
from dbos import DBOS, DBOSConfig
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from inference.errors import BundleError, EngineError
from inference.model.bundle import Bundle, load_bundle
from inference.model.engine import Engine
from inference.model.heart import RatioReader
from inference.model.input_check import InputCheck
from inference.model.lung_fields import LungFields
from inference.model.metadata import bundle_folder
from inference.model.operating_points import BadOperatingPoint
from scp.config.load import Settings
from scp.errors import CANNOT_START, ServiceError
from scp.index import films
from scp.index.heartbeats import Role
from scp.index.outputs import remember_model
from scp.index.schema.tables import FilmState
from scp.index.worklist.rebuild import update_entries
from scp.monitoring import logs
from scp.outcomes.failures import Cause
from scp.pipeline.answer import Answerer
from scp.pipeline.delivery import Deliverer
from scp.pipeline.destinations import destination_of
from scp.pipeline.job_ids import film_of
from scp.pipeline.patience import Patience
from scp.pipeline.prior_fetch import Fetcher
from scp.pipeline.queue import APPLICATION, WORKFLOW_VERSION
from scp.pipeline.reader import Reader
from scp.pipeline.replaced_jobs import is_replaced
from scp.pipeline.workflow import Worker
from scp.processes.queues import Queues
from scp.processes.runtime import (
    DRAIN_S,
    ServiceContext,
    Stop,
    beat_until,
    now,
    only_one,
    open_context,
)
from scp.processes.taking_in import make_intake
from scp.results.identity import Product

log = structlog.get_logger(__name__)


def this_product(settings: Settings) -> Product:
    """Return what results say made them: not which host, for another one may do a step again."""
    return Product(version=version("hilum"), serial=settings.receiver.ae_title)


@contextmanager
def open_reader(settings: Settings) -> Iterator[Reader]:
    """Load the model and return what answers films. Raises `ServiceError` when it cannot be."""
    with _open_engine(settings) as engine:
        check, lungs, ratio = _beside_it(settings, engine.bundle)
        yield Reader(
            engine,
            settings.gate,
            settings.results,
            this_product(settings),
            check,
            lungs,
            settings.zone,
            ratio,
        )


def _beside_it(
    settings: Settings, bundle: Bundle
) -> tuple[InputCheck | None, LungFields | None, RatioReader | None]:
    """Load what a bundle has beside its network."""
    try:
        check = bundle.input_check() if settings.gate.check_appearance else None
        return check, bundle.lung_fields(), bundle.ratio_reader()
    except BundleError as error:
        raise ServiceError(f"no film can be read: {error}") from error


def _open_engine(settings: Settings) -> Engine:
    try:
        return Engine(
            load_bundle(bundle_folder(settings.inference.bundle)),
            device=settings.inference.device,
            batch_size=settings.inference.batch_size,
            thresholds=settings.results.thresholds,
            prevalences=settings.results.prevalences,
            maps=settings.results.maps,
        )
    except (BundleError, BadOperatingPoint, EngineError) as error:
        raise ServiceError(
            f"no film can be read: {error} (config.toml: [inference], [results])"
        ) from error


def work(settings: Settings, name: str, stop: Stop, start_id: str) -> None:
    """Run a worker until it is stopped; running work gets a few seconds to finish."""
    with (
        open_context(settings) as context,
        only_one(context.archive, name),
        open_reader(settings) as reader,
    ):
        answerer = make_answerer(context, reader)
        fetcher, deliverer = make_fetcher(context), make_deliverer(context)
        # DBOS knows it from now on
        worker = Worker(answerer, fetcher, deliverer, Patience(context.archive))
        queues = Queues(settings, context.jobs, name, worker.in_hand)
        queues.register()
        _launch(context, name)
        engine = reader.engine
        details = {
            "model": engine.bundle.identity.name,
            "version": engine.bundle.identity.version,
            "sha256": engine.bundle.identity.sha256,
            "device": str(engine.device),
        }
        log.info("working", name=name, input_check=reader.check is not None, **details)
        Thread(target=obey_settings, args=(context, stop), name="settings", daemon=True).start()

        def every_beat() -> None:
            state_given_up(context, answerer)
            queues.look()
            answerer.prepared.sweep(context.jobs, worker.in_hand)

        try:
            beat_until(
                stop,
                context,
                Role(name, "work", os.getpid(), details, start_id),
                every_beat=every_beat,
                works=lambda: engine.works,
            )
        except ServiceError as error:  # the network's thread; the queue's would keep us from ending
            log.critical(str(error))
            os._exit(CANNOT_START)
        DBOS.destroy(workflow_completion_timeout_sec=int(DRAIN_S))
        log.info("stopped")
    # what still runs is done again at the next start; a thread in a time-out would hold us up
    os._exit(0)


def make_answerer(context: ServiceContext, reader: Reader) -> Answerer:
    """Put together what answers films."""
    destinations = {d.name: d.kinds for d in context.settings.destinations}
    settle_s = context.settings.priors.settle_s
    bundle = reader.engine.bundle
    with Session(context.engine) as session, session.begin():
        remember_model(session, bundle.identity, bundle.calibrations)
    return Answerer(
        context.engine,
        context.archive,
        context.jobs,
        reader,
        destinations,
        now,
        settle_s,
        context.settings.worklist,
    )


def make_fetcher(context: ServiceContext) -> Fetcher:
    """Put together what fetches priors."""
    settings = context.settings
    return Fetcher(
        make_intake(context),
        settings.priors,
        settings.receiver.ae_title,
        secondary_captures=settings.gate.accept_secondary_capture,
    )


def make_deliverer(context: ServiceContext) -> Deliverer:
    """Put together what delivers answers."""
    settings = context.settings
    return Deliverer(
        context.engine,
        context.archive,
        context.jobs,
        {
            one.name: destination_of(one, settings.receiver.ae_title)
            for one in settings.destinations
        },
        now,
    )


def _launch(context: ServiceContext, name: str) -> None:
    """Start taking jobs; those that an earlier process of this name left come first."""
    config = DBOSConfig(
        name=APPLICATION,
        system_database_engine=context.engine,
        system_database_url=context.engine.url.render_as_string(hide_password=False),
        application_version=WORKFLOW_VERSION,
        executor_id=name,
        run_migrations=False,
        console_log_level="ERROR",
    )
    DBOS(config=config)
    logs.adopt_dbos_logs()
    DBOS.launch()


def obey_settings(context: ServiceContext, stop: Stop) -> None:
    """Make lists and due times of films by the settings of now, where others have made them."""
    settings = context.settings
    try:
        done = update_entries(
            context.engine, settings.worklist, settings.results.operating, lambda: stop.wait(0)
        )
    except SQLAlchemyError:  # the edge of the thread; the next start goes on
        log.exception("worklist entries not updated; restart the worker")
    else:
        if done:
            log.info("worklist entries follow the settings", films=done)


def state_given_up(context: ServiceContext, answerer: Answerer) -> None:
    """State the outcome of films at which workers died again and again."""
    for job in context.jobs.given_up():
        film_uid = film_of(job)
        if film_uid is None:
            continue
        with Session(context.engine) as session:
            stated = films.film(session, film_uid).state is FilmState.FAILED
            stated = stated or is_replaced(session, job)
        if not stated:
            answerer.state_failure(film_uid, Cause.WORKER_DIED, job=job)
