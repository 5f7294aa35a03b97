"""Codes of views and of what modifies a view, and what each means.

A code counts with its scheme and its meaning: where these disagree it is not understood.

References
----------
PS3.16 CID 4010 (views), CID 4011 (view modifiers), CID 19 and 20 (posture). SRT codes are those
that the lists carried before SNOMED CT replaced them.
"""

from pydicom.dataset import Dataset

from inference.image.header import text

# schemes whose numbers are SNOMED's; a private scheme's may mean anything
SNOMED = frozenset({"", "SCT", "SRT", "SNM3", "99SDM", "SNOMED", "SNOMED-CT", "SNOMED-RT", "DCM"})

# view -> codes; all of CID 4010 that a chest can be taken in
_CODES: dict[str, tuple[str, ...]] = {
    "PA": (
        "272479007",  # postero-anterior
        "R-10214",  # both are met in the field
        "R-40888",
    ),
    "AP": (
        "399348003",  # antero-posterior, although lists in the field call it PA
        "R-10206",
    ),
    "frontal": (
        "399033003",
        "R-10202",
    ),
    "lateral": (
        "399067008",
        "399173006",  # left lateral
        "399198007",  # right lateral
        "399260004",  # medial-lateral
        "399352003",  # lateral-medial
        "30730003",  # sagittal
        "R-102CD",
        "R-10236",
        "R-10232",
        "R-10224",  # medial-lateral
        "R-10228",  # lateral-medial
        "G-A145",  # sagittal
    ),
    "oblique": (
        "399182000",
        "399059000",  # postero-anterior oblique
        "399312000",  # antero-posterior oblique
        "399160007",  # frontal oblique
        "399132005",  # frontal-oblique axial
        "399135007",  # left anterior oblique
        "399356000",  # right anterior oblique
        "399006002",  # left posterior oblique
        "399038007",  # right posterior oblique
        "399184004",  # left oblique
        "399236003",  # right oblique
        "260426006",  # medial oblique
        "260427002",  # lateral oblique
        "399368009",  # medio-lateral oblique
        "399099002",  # latero-medial oblique
        "399004004",  # oblique axial
        "399325008",  # sagittal-oblique axial
        "399225005",  # oblique caudo-cranial
        "399288005",  # oblique cranio-caudal
        "R-102C1",
        "R-10216",
        "R-10208",
        "R-10204",
        "R-10220",
        "R-10252",  # frontal-oblique axial
        "R-40985",  # right anterior oblique
        "R-10212",  # left posterior oblique
        "R-10210",  # right posterior oblique
        "R-10238",  # left oblique
        "R-10234",  # right oblique
        "R-40782",  # medial oblique
        "R-40783",  # lateral oblique
        "R-10226",  # medio-lateral oblique
        "R-10230",  # latero-medial oblique
        "R-10246",  # oblique axial
        "R-10254",  # sagittal-oblique axial
        "R-10250",  # oblique caudo-cranial
        "R-10248",  # oblique cranio-caudal
    ),
    "lordotic": (
        "399061009",  # axial
        "399196006",  # caudo-cranial
        "399162004",  # cranio-caudal
        "399110001",  # tangential
        "R-10241",  # axial
        "R-10244",  # caudo-cranial
        "R-10242",  # cranio-caudal
        "R-102C2",  # tangential
    ),
}
VIEW_CODES = {code: view for view, codes in _CODES.items() for code in codes}
MODIFIER_CODES = VIEW_CODES | {
    "111069": "lateral",  # crosstable
    "102535000": "decubitus",  # right lateral decubitus
    "102536004": "decubitus",  # left lateral decubitus
    "F-10317": "decubitus",
    "F-10318": "decubitus",
    "F-10319": "decubitus",
    "102538003": "",  # recumbent: a posture, no view
    "40199007": "",  # supine
    "1240000": "",  # prone
    "10904000": "",  # standing
    "33586001": "",  # sitting
    "F-10340": "",  # supine
    "F-10310": "",  # prone
    "F-10440": "",  # standing
}


def code_of(item: Dataset) -> str:
    """Return an item's code in capitals, also one that is a long code or a URN."""
    keywords = ("CodeValue", "LongCodeValue", "URNCodeValue")
    value = next((value for keyword in keywords if (value := text(item, keyword))), "")
    return value.replace("/", ":").rpartition(":")[2].upper()


def in_snomed(item: Dataset) -> bool:
    """Whether an item's number is one of SNOMED's or of DICOM's own."""
    return text(item, "CodingSchemeDesignator").upper() in SNOMED
