"""A data_dir with its database and configuration, into which films are taken, without a network."""

import json
import shutil
from contextlib import contextmanager, suppress

import sqlalchemy as sa
from pydicom.uid import UID
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.config.load import load_settings
from scp.dimse.request import Request
from scp.errors import Refused
from scp.index import films
from scp.index.database import migrate, open_database
from scp.index.schema.tables import Result
from scp.pipeline.queue import Jobs
from scp.processes.runtime import ServiceContext, now
from scp.processes.taking_in import make_intake


class Site:
    """One installation; ``url`` is its database, "" for SQLite in data_dir."""

    def __init__(self, folder, url=""):
        folder.mkdir()
        self.data_dir, self.config = folder / "var", folder / "config.toml"
        self.config.write_text(f"[archive]\nreserve_mb = 0\n[database]\nurl = {json.dumps(url)}\n")
        self.settings = load_settings(self.config)

    @contextmanager
    def opened(self):
        """Open it as it is; bringing the tables up to date takes most of a command's time."""
        engine = open_database(self.settings.database_url)
        if not sa.inspect(engine).has_table(Result.__tablename__):
            migrate(engine)
        jobs = Jobs(engine)
        try:
            archive = Archive(self.data_dir, self.settings.archive)
            yield ServiceContext(self.settings, engine, archive, jobs)
        finally:
            jobs.close()
            engine.dispose()

    def fill(self, template):
        """Begin with the tables of a template."""
        self.data_dir.mkdir()
        shutil.copy(template, self.data_dir / "hilum.sqlite")
        return self

    def take(self, ds):
        """Take a film in; a refused one goes into quarantine."""
        with self.opened() as context:
            path = context.archive.incoming / "received.dcm"
            ds.save_as(path, enforce_file_format=True)
            request = Request("TEST", ds.SOPClassUID, ds.SOPInstanceUID)
            with suppress(Refused):
                make_intake(context).ingest(path, request)
        return str(ds.SOPInstanceUID)

    def answer(self, film_uid, data=b"an answer"):
        """Keep bytes as a film's result."""
        with self.opened() as context:
            uid = UID(f"{film_uid}.1")
            part = context.archive.incoming / "result.part"
            part.write_bytes(data)
            stored = context.archive.result(data, UID("2.25.5"), uid)
            context.archive.keep_result(part, stored)
            with Session(context.engine) as session, session.begin():
                session.add(
                    Result(
                        instance=films.film(session, film_uid),
                        kind="report",
                        uid=uid,
                        sop_class_uid="1.2",
                        path=stored.path,
                        sha256=stored.sha256,
                        size_bytes=stored.size_bytes,
                        created_at=now(),
                    )
                )
        return stored.path

    def files(self):
        """The kept files and what is in them, by path."""
        kept = ("archive", "results", "quarantine")
        found = [p for kind in kept for p in (self.data_dir / kind).rglob("*") if p.is_file()]
        return {str(path.relative_to(self.data_dir)): path.read_bytes() for path in found}

    def sql(self, text, **values):
        """Run a statement on the database."""
        with self.opened() as context, context.engine.begin() as connection:
            result = connection.execute(sa.text(text), values)
            return result.all() if result.returns_rows else []
