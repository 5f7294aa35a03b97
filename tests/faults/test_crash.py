"""The short forms of `make crash-test`."""

import pytest

from tests.faults.crash import crash
from tests.faults.points import FEW, at_points

pytestmark = pytest.mark.peer("storescp")


def test_films_outlive_the_death_of_every_process(tmp_path, tiny_bundle):
    outcome = crash(tmp_path, tiny_bundle, films=6, kills=4, seed=3)
    assert outcome.held, str(outcome)
    assert outcome.kills.total() == 4


def test_films_outlive_a_death_around_each_commit(tmp_path, tiny_bundle):
    outcome = at_points(tmp_path, tiny_bundle, FEW)
    assert outcome.held, str(outcome)
