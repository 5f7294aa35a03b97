"""What ops are told of an error: the sentence for each that our own sender writes."""

import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from scp.index.fetches import Outcome
from scp.remedies import FETCHES, Parties, remedy

PACS = Parties("PACS_A", "HILUM")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("PACS at 10.0.0.5:104 does not answer", "PACS_A does not answer on 10.0.0.5:104: is it"),
        ("pacs.example cannot be looked up: [Errno -2] Name", "host name pacs.example of PACS_A"),
        (
            "PACS at h:1 rejected the association: Calling AE title not recognised",
            "PACS_A does not know us: ask its administrator to enter the AE title HILUM",
        ),
        (
            "PACS at h:1 rejected the association: Called AE title not recognised",
            "PACS_A does not know the AE title PACS, by which we call it",
        ),
        ("PACS at h:1 rejected the association: Local limit exceeded", "too many connections"),
        ("PACS at h:1 rejected the association: No reason given", "(No reason given)"),
        ("PACS at h:1 accepts none of Enhanced SR Storage", "Enhanced SR Storage"),
        ("the destination accepts no X Storage as Explicit VR", "PACS_A accepts no X Storage"),
        ("the association broke off", "broke the connection off"),
        ("no answer to C-STORE", "did not answer in time"),
        ("the destination is no longer configured", "discard what waits"),
        ("the result cannot be read: No such file or directory: x.dcm", "Our own file"),
        ("the file cannot be read: Permission denied", "Our own file"),
        ("the result is no DICOM file any more: x.dcm", "Our own file"),
        ("C-STORE answered 0xA700 (Failure)", "out of resources"),
        ("C-STORE answered 0xA901 (Failure)", "does not match its SOP class"),
        ("C-STORE answered 0x0122 (Failure)", "does not support this kind of object"),
        ("C-STORE answered 0x0124 (Failure)", "does not allow HILUM to store"),
        ("C-STORE answered 0xB000 (Warning)", "not counted as delivered"),
        ("C-STORE answered 0xC123 (Failure): Missing\\nattribute", "It says: Missing\\nattribute"),
    ],
)
def test_an_error_is_said_as_what_to_do(error, said):
    text = remedy(error, PACS)
    assert said in text
    assert "PACS_A" in text
    assert "{" not in text


def test_every_failure_that_the_standard_names_has_its_sentence():
    errors = [f"C-STORE answered 0x{c:04X} (Failure)" for c in STORAGE_SERVICE_CLASS_STATUS if c]
    assert [error for error in errors if remedy(error, PACS) in ("", error)] == []


def test_a_strange_error_is_shown_as_it_is_and_braces_are_no_fields():
    assert remedy("PACS is on fire", PACS) == "PACS is on fire"
    assert "{us} {0}" in remedy("C-STORE answered 0xA700 (Failure): {us} {0}", PACS)
    assert "{host} {x}" in remedy("p at {host} {x}:104 does not answer", PACS)
    assert remedy("C-STORE answered 0x7777 (Unknown)", PACS) == "C-STORE answered 0x7777 (Unknown)"
    assert remedy("", PACS) == ""


def test_each_way_in_which_priors_do_not_come_has_its_sentence():
    assert set(FETCHES) == {outcome.value for outcome in Outcome} - {"done"}
