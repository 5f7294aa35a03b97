"""Is it well: the health check of a container, which runs every few seconds and must cost little.

``health.py [WHERE]`` ends with 0, or with 1 and a sentence. WHERE is the address of ``/readyz``,
which speaks for the whole service, or the file that a role touches at each heartbeat
(`scp.processes.runtime.beat_file`): most roles offer no HTTP. No part of the package: importing
that takes longer than all of this.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

FRESH_S = 15.0  # as in scp.index.heartbeats
_PATIENCE_S = 5.0


def what_is_wrong(where: str, now: float) -> str:
    """Return "" when all is well, else what is wrong. ``now``: seconds since 1970."""
    return _of_service(where) if where.startswith("http://") else _of_role(Path(where), now)


def _of_service(url: str) -> str:
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # we need no proxy
    try:
        straight.open(url, timeout=_PATIENCE_S).close()
    except urllib.error.HTTPError as error:
        with error:
            checks = json.load(error)["checks"]
        return " ".join(check["text"] for check in checks if not check["ok"])
    except OSError as error:
        return f"{url} does not answer ({error}): is the dashboard running?"
    return ""


def _of_role(beat: Path, now: float) -> str:
    try:
        age_s = now - beat.stat().st_mtime
    except FileNotFoundError:
        return f"{beat.name} does not run, or has not started yet."
    return "" if age_s < FRESH_S else f"{beat.name} sent its last heartbeat {age_s:.0f} s ago."


def main() -> int:
    """Print what is wrong, or "well"; return the exit code."""
    where = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/readyz"
    wrong = what_is_wrong(where, time.time())
    print(wrong or "well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
