"""The short form of `make crash-test`."""

from tests.faults.crash import crash


def test_films_outlive_the_death_of_every_process(tmp_path, tiny_bundle):
    outcome = crash(tmp_path, tiny_bundle, films=6, kills=4, seed=3)
    assert outcome.held, str(outcome)
    assert outcome.kills.total() == 4
