"""Who guesses waits; who knows the password is kept out by nobody, and no wait is for good."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from scp.dashboard.security.known_browsers import known, remembered
from scp.dashboard.security.throttle import FREE, Attempt, Lane, LoginThrottle

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def fail(throttle, attempt, times=1):
    """Try so often, whatever the wait; return how often one might."""
    return sum(throttle.begin(attempt, NOW) == 0 for _ in range(times))


def test_tries_at_the_same_moment_are_counted_before_one_is_known_to_have_failed():
    assert fail(LoginThrottle(), Attempt("otto", "10.0.0.1"), 100) == FREE["name at address"]


def test_a_name_under_attack_is_open_to_its_known_browser_and_once_to_a_new_address():
    throttle = LoginThrottle()
    for number in range(200):
        fail(throttle, Attempt("otto", f"10.0.1.{number}"), 2)
    assert fail(throttle, Attempt("otto", "10.0.1.7")) == 0
    assert fail(throttle, Attempt("otto", "10.0.0.1", browser="own")) == 1
    assert fail(throttle, Attempt("otto", "10.9.9.9"), 2) == 1


def test_a_known_browser_may_not_guess_without_end_either():
    throttle = LoginThrottle()
    assert fail(throttle, Attempt("otto", "10.0.0.1", browser="own"), 50) == FREE["browser"]
    assert fail(throttle, Attempt("otto", "10.0.0.1", browser="other")) == 1


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),  # one host has all of a /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("", "testclient", False),
    ],
)
def test_an_address_is_what_one_host_cannot_change_at_will(first, second, same):
    throttle = LoginThrottle()
    for number in range(30):
        fail(throttle, Attempt(f"name{number}", first))
    assert (fail(throttle, Attempt("another", second)) == 0) == same


def test_who_knows_the_password_is_forgiven_but_their_address_is_not():
    throttle = LoginThrottle()
    for number in range(19):
        fail(throttle, Attempt(f"name{number}", "10.0.0.1"))
    right = Attempt("otto", "10.0.0.1")
    assert fail(throttle, right) == 1
    throttle.succeeded(right, NOW)
    assert [fail(throttle, Attempt(name, "10.0.0.1")) for name in ("a", "b")] == [1, 0]


def test_what_was_not_tried_does_not_count():
    throttle = LoginThrottle()
    attempt = Attempt("otto", "10.0.0.1")
    for _ in range(100):
        assert fail(throttle, attempt) == 1
        throttle.withdraw(attempt, NOW)


def test_every_wait_ends():
    throttle, at = LoginThrottle(), NOW
    attempt = Attempt("otto", "10.0.0.1")
    for _ in range(40):
        wait_s = throttle.begin(attempt, at)
        assert wait_s <= 60
        at += timedelta(seconds=wait_s)
    assert throttle.begin(attempt, at + timedelta(minutes=1)) == 0


def test_a_flood_of_names_and_addresses_takes_bounded_memory_and_frees_no_address():
    throttle = LoginThrottle()
    fail(throttle, Attempt("otto", "10.0.0.1"), 30)
    for number in range(12_000):
        fail(throttle, Attempt(f"name{number}", f"10.1.{number % 20}.{number % 200}"))
    assert {len(kept) for kept in throttle._failures.values()} <= set(range(10_001))
    assert fail(throttle, Attempt("otto", "10.0.0.1")) == 0


def test_a_browser_is_known_by_whom_it_saw_log_in_and_until_the_password_changes():
    cookie = remembered("", "otto", "hash")
    nonce = known(cookie, "otto", "hash")
    assert nonce
    assert not known(cookie, "otto", "another hash")
    assert not known(cookie, "vera", "hash")
    assert not known("", "otto", "hash")
    assert not known("é" * 20 + "." + cookie[:-1], "otto", "hash")
    both = remembered(cookie, "vera", "hers")
    assert known(both, "otto", "hash") == nonce
    assert known(both, "vera", "hers")
    assert known(remembered(both, "otto", "hash"), "otto", "hash") == nonce
    for number in range(20):
        both = remembered(both, f"name{number}", "hash")
    assert len(both) < 1000
    assert not known(both, "otto", "hash")


def test_a_lane_lets_few_wait_and_turns_the_others_away_at_once():
    running, most, answers = 0, 0, []

    def work():
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1
        return "done"

    async def flood():
        lane = Lane(1, 3, 0.01)

        async def one():
            answers.append(await lane.run(work))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(one)

    anyio.run(flood)
    assert most == 1
    assert answers.count("done") == 4
    assert answers.count(None) == 46
