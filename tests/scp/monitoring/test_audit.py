"""The audit trail: whole lines, on the disk, whoever else writes."""

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scp.monitoring.audit import Audit, AuditFailed

NOW = datetime(2026, 3, 31, 23, 59, 50, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def audit(tmp_path):
    return Audit(tmp_path, lambda: NOW)


def run(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT)


def test_a_line_says_who_did_what_to_what_and_when(audit, tmp_path):
    audit.record("otto", "retried", "film:1.2.3", reason='a "reason"\nof two lines')
    text = (tmp_path / "audit" / "2026-03.jsonl").read_text()
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "at": "2026-03-31T23:59:50+00:00",
        "person": "otto",
        "action": "retried",
        "target": "film:1.2.3",
        "reason": 'a "reason"\nof two lines',
    }


def test_others_may_not_read_the_trail(audit, tmp_path):
    audit.record("otto", "viewed", "1.2")
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "audit" / "2026-03.jsonl").stat().st_mode & 0o777 == 0o640


def test_each_month_has_its_file(tmp_path):
    moments = iter([NOW, NOW + timedelta(seconds=20)])
    audit = Audit(tmp_path, lambda: next(moments))
    audit.record("otto", "viewed", "1.2")
    audit.record("otto", "viewed", "1.3")
    names = sorted(path.name for path in (tmp_path / "audit").iterdir())
    assert names == ["2026-03.jsonl", "2026-04.jsonl"]
    assert [line["target"] for line in audit.lines()] == ["1.2", "1.3"]


WRITE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from scp.monitoring.audit import Audit
audit = Audit(Path(sys.argv[1]), lambda: datetime(2026, 3, 1, tzinfo=UTC))
for number in range(100):
    audit.record(sys.argv[2], "viewed", str(number), much="x" * 5000)
"""


def test_processes_that_write_at_once_lose_and_tear_nothing(audit, tmp_path):
    writers = [run(WRITE, tmp_path, name) for name in "abc"]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    lines = list(audit.lines())
    assert len((tmp_path / "audit" / "2026-03.jsonl").read_text().splitlines()) == 300
    for name in "abc":
        mine = [line["target"] for line in lines if line["person"] == name]
        assert mine == [str(number) for number in range(100)]


def test_a_writer_waits_for_another_as_a_shared_folder_needs_it(audit, tmp_path):
    audit.record("otto", "viewed", "1.2")
    with (tmp_path / "audit" / "2026-03.jsonl").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        inode = os.fstat(other.fileno()).st_ino
        waiting = re.compile(rf"-> FLOCK .*:{inode} ")
        writer = threading.Thread(target=audit.record, args=("vera", "viewed", "1.3"))
        writer.start()
        deadline = time.monotonic() + 20
        while writer.is_alive() and not waiting.search(Path("/proc/locks").read_text()):
            assert time.monotonic() < deadline
        assert [line["person"] for line in audit.lines()] == ["otto"]
    writer.join(20)
    assert [line["person"] for line in audit.lines()] == ["otto", "vera"]


FULL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from scp.monitoring.audit import Audit, AuditFailed
audit = Audit(Path(sys.argv[1]), lambda: datetime(2026, 3, 1, tzinfo=UTC))
audit.record("otto", "viewed", "1.2")
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    audit.record("otto", "viewed", "1.3", much="x" * 1000)
except AuditFailed:
    sys.exit(7)
"""


def test_a_line_that_finds_no_room_is_an_error_and_leaves_no_half_behind(audit, tmp_path):
    assert run(FULL, tmp_path).wait(60) == 7
    assert (tmp_path / "audit" / "2026-03.jsonl").read_text().endswith('"1.2"}\n')
    audit.record("otto", "viewed", "1.4")
    assert [line["target"] for line in audit.lines()] == ["1.2", "1.4"]


def test_a_folder_that_cannot_be_written_is_said_with_what_to_do(audit, tmp_path):
    (tmp_path / "audit").write_text("in the way")
    for attempt in (audit.require_writable, lambda: audit.record("otto", "viewed", "1.2")):
        with pytest.raises(AuditFailed, match=r"cannot be written .*: free space on the disk"):
            attempt()


def test_after_a_torn_line_the_next_one_is_whole(audit, tmp_path):
    audit.record("otto", "viewed", "1.2")
    path = tmp_path / "audit" / "2026-03.jsonl"
    path.write_text(path.read_text() + '{"at": "2026-03-')
    audit.record("otto", "viewed", "1.3")
    assert [line["target"] for line in audit.lines()] == ["1.2", "1.3"]


def test_lines_can_be_asked_for_by_person_object_and_moment(tmp_path):
    moments = [NOW + timedelta(days=days) for days in range(3)]
    for moment, person in zip(moments, ("otto", "vera", "otto"), strict=True):
        Audit(tmp_path, lambda moment=moment: moment).record(
            person, "viewed", f"film {person}", result=f"{moment:%d}"
        )
    audit = Audit(tmp_path, lambda: NOW)

    def results(**wanted):
        return [line["result"] for line in audit.lines(**wanted)]

    assert results() == ["31", "01", "02"]
    assert results(person="otto") == ["31", "02"]
    assert results(target="film vera") == ["01"]
    assert results(target="02") == ["02"]  # a result of a film, too
    assert results(since=moments[1]) == ["01", "02"]


def test_without_a_trail_there_are_no_lines(audit):
    assert list(audit.lines()) == []
