"""The coded concepts of reports, and the content items that carry them.

Which codes are verified, and how: docs/results.md.
"""

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.sr.coding import Code

from inference.findings import PRIVATE_SCHEME, Change, Concept

ENGLISH = Code("en-US", "RFC5646", "English (United States)")
CHEST_XRAY = Code("399208008", "SCT", "Plain chest X-ray")

PRESENCE = Code("121052", "DCM", "Presence of property")
PRESENT = Code("52101004", "SCT", "Present")
# not "Absent": a probability below a threshold says nothing of the kind
BELOW_THRESHOLD = Code("below-threshold", PRIVATE_SCHEME, "Below the site's threshold")
UNDETERMINED = Code("373068000", "SCT", "Undetermined")

FINDING = Code("121071", "DCM", "Finding")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")

# OHIF shows a number of 0 as its unit: so two names for 14 instead of one for 14 and 0
LOOKED_FOR = Code("looked-for", PRIVATE_SCHEME, "Findings looked for")
NOT_LOOKED_FOR = Code("not-looked-for", PRIVATE_SCHEME, "Findings not looked for")
FINDINGS_COUNTED = Code("{findings}", "UCUM", "findings")

# no verified code (docs/results.md)
CARDIOTHORACIC_RATIO = Code("ct-ratio", PRIVATE_SCHEME, "Cardiothoracic ratio")
HEART_WIDTH = Code("heart-width", PRIVATE_SCHEME, "Transverse diameter of the heart")
CHEST_WIDTH = Code("chest-width", PRIVATE_SCHEME, "Internal diameter of the chest")
RATIO_UNIT = Code("{ratio}", "UCUM", "ratio")
PIXELS = Code("{pixels}", "UCUM", "pixels")

SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
NOT_DONE = Code("111245", "DCM", "No algorithms succeeded; without findings")

ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# DICOM's dictionaries know a change of size, not of a finding's certainty: those stay private.
DIFFERENCE = Code("111049", "DCM", "Qualitative Difference")
CHANGES = {
    Change.NEW: Code("129721008", "SCT", "New finding"),
    Change.INCREASED: Code("increased", PRIVATE_SCHEME, "Finding more certain than before"),
    Change.UNCHANGED: Code("129723006", "SCT", "No significant changes in the finding"),
    Change.DECREASED: Code("decreased", PRIVATE_SCHEME, "Finding less certain than before"),
    Change.RESOLVED: Code("resolved", PRIVATE_SCHEME, "Finding no longer present"),
    Change.UNCERTAIN: UNDETERMINED,
}


def code_of(concept: Concept) -> Code:
    """Return a finding's or site's concept as a code."""
    return Code(concept.value, concept.scheme, concept.meaning)


def text(name: Code, value: str) -> sr.TextContentItem:
    """Make an item that says something in words."""
    return sr.TextContentItem(name, value, Relation.CONTAINS)


def coded(name: Code, value: Code) -> sr.CodeContentItem:
    """Make an item that says something in a code."""
    return sr.CodeContentItem(name, value, Relation.CONTAINS)


def container(name: Code, items: sr.ContentSequence | None = None) -> sr.ContainerContentItem:
    """Make a container of items, or an empty one."""
    made = sr.ContainerContentItem(name=name, relationship_type=Relation.CONTAINS)
    if items is not None:
        made.ContentSequence = items
    return made
