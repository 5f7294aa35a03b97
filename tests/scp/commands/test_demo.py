"""What the demonstration says of its film, on which everybody sees several masses."""

from dataclasses import replace

import pytest

from inference.findings import FINDINGS
from scp.commands.demo import about_the_masses
from scp.index.values import FindingRow

ROWS = [FindingRow(one.label, one.name, 0.02, 0.1, positive=False, meaning="") for one in FINDINGS]


def with_mass(**values):
    return [replace(row, **values) if row.label == "Mass" else row for row in ROWS]


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (ROWS, "does not find Mass likely"),
        (with_mass(positive=True), "the network finds Mass likely"),
        (with_mass(positive=None, assessed=False), "does not find Mass likely"),
    ],
    ids=["below its threshold", "above", "not assessed"],
)
def test_the_demonstration_says_whether_the_network_sees_the_masses(findings, said):
    assert "Several round masses can be seen" in about_the_masses(findings)
    assert said in about_the_masses(findings)
