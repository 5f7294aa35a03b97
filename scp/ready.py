"""Is it ready: what the health check of a container, or a script, asks.

Of the whole service ``/readyz`` is asked, over HTTP, so that the page is known to answer too. A
role on its own offers no HTTP; its heartbeat in the database is looked at.
"""

import json
import urllib.error
import urllib.request
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scp.config import Settings
from scp.index.database import open_database
from scp.index.heartbeats import alive

_PATIENCE_S = 5.0


def reachable(host: str) -> str:
    """Return the address under which something that listens on all addresses is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def why_not_ready(settings: Settings, name: str | None, now: datetime) -> str:
    """Return "" when the service, or the role of this name, is ready; else what is wrong."""
    return _of_role(settings, name, now) if name else _of_service(settings)


def _of_service(settings: Settings) -> str:
    host, port = reachable(settings.dashboard.host), settings.dashboard.port
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/readyz"
    straight = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # no proxy for ourselves
    try:
        straight.open(url, timeout=_PATIENCE_S).close()
    except urllib.error.HTTPError as error:
        with error:
            checks = json.load(error)["checks"]
        return " ".join(check["text"] for check in checks if not check["ok"])
    except OSError as error:
        return f"{url} does not answer ({error}): is the dashboard running?"
    return ""


def _of_role(settings: Settings, name: str, now: datetime) -> str:
    engine = open_database(settings.database_url)
    try:
        with Session(engine) as session:
            names = [role.name for role in alive(session, now)]
    except SQLAlchemyError:
        return "The database does not answer: see that it runs and that [database] url is right."
    finally:
        engine.dispose()
    if name in names:
        return ""
    return f"{name} was not heard of just now; heard of: {', '.join(names) or 'nobody'}."
