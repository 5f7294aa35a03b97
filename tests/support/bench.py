"""The worker's steps called by hand, on a real archive, index and queue."""

from contextlib import contextmanager

from pydicom import dcmread
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.config.priors import PriorsSettings
from scp.dimse.request import Request
from scp.index.schema.tables import Result
from scp.index.worklist.film_rows import film_row
from scp.pipeline.intake import Intake
from scp.pipeline.job_ids import again_of, fetch_of
from scp.pipeline.prior_fetch import Fetcher
from scp.processes import work as worker_role
from scp.processes.runtime import now, open_context


class Bench:
    """Everything but the queue: films are taken in, and the steps are called by hand."""

    def __init__(self, stores, answerer):
        self.stores, self.answerer = stores, answerer
        self.intake = Intake(stores.engine, stores.archive, stores.jobs, now)
        self.ask(retrieve="off")

    def ask(self, **settings) -> None:
        """Fetch priors by these settings from now on."""
        priors = PriorsSettings(**settings)
        self.fetcher = Fetcher(self.intake, priors, "HILUM", secondary_captures=False)

    def take(self, ds) -> str:
        path = self.stores.archive.incoming / "received.dcm"
        ds.save_as(path, enforce_file_format=True)
        self.intake.ingest(path, Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID))
        return ds.SOPInstanceUID

    def answer(self, uid):
        if self.answerer.read(uid):
            self.fetcher.fetch(uid)
            self.answerer.write(uid)
        return self.row(uid)

    def again(self):
        """Do what is asked for in the queue, as the worker does; return which jobs there are."""
        jobs = [j.workflow_id for j in self.stores.jobs.unfinished() if again_of(j.workflow_id)]
        for uid in sorted({again_of(job) for job in jobs}):
            self.answerer.write_again(uid)
        return set(jobs)

    def fetch_again(self):
        """Do the fetching that is asked for in the queue, as the worker does; return the jobs."""
        jobs = [j.workflow_id for j in self.stores.jobs.unfinished() if fetch_of(j.workflow_id)]
        for job in jobs:
            self.fetcher.fetch(fetch_of(job), int(job.rpartition(":")[2]))
        return set(jobs)

    def row(self, uid):
        with Session(self.stores.engine) as session:
            return film_row(session, uid, self.stores.settings.results.operating)

    def count(self, table) -> int:
        with Session(self.stores.engine) as session:
            return session.scalar(select(func.count()).select_from(table))

    def result_paths(self):
        with Session(self.stores.engine) as session:
            return session.scalars(select(Result.path)).all()

    def result(self, row, kind):
        """The newest object of a kind that answers a film, as a receiver reads it."""
        uid = next(result.uid for result in row.results if result.kind == kind)
        (path,) = self.stores.archive.data_dir.rglob(f"{uid}.dcm")
        return dcmread(path)

    def report(self, row, kind="report"):
        """What the report of a film's newest answer says in words."""
        return [e.value for e in self.result(row, kind).iterall() if e.keyword == "TextValue"]

    def files(self):
        return {
            p.name: p.read_bytes() for p in self.stores.archive.data_dir.rglob("results/**/*.dcm")
        }


@contextmanager
def open_bench(folder, bundle, **results):
    """Set everything up in a folder, with one destination that nobody listens at."""
    settings = Settings(
        data_dir=folder,
        archive={"reserve_mb": 0},
        inference={"bundle": str(bundle), "device": "cpu"},
        results={  # the fewest and smallest, the fastest
            "finding_captures": 0,
            "presentation_state": False,
            "drawing": {"long_edge_px": 900},
            **results,
        },
        destinations=(DestinationSettings(name="pacs", ae_title="PACS", host="::1", port=1),),
    )
    with open_context(settings) as stores, worker_role.open_reader(settings) as reader:
        yield Bench(stores, worker_role.make_answerer(stores, reader))
