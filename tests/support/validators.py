"""What programs that others wrote say of DICOM objects: dicom3tools, DCMTK and PixelMed.

Each function returns what is wrong, one line each, so that an empty list is a valid object. What
a validator says of every valid object of ours is left out by an explicit list, with the reason.
"""

import re
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peers import require_jar, require_peer
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage

from scp.results.identity import ALWAYS_THERE
from scp.results.kinds import LabelMapSegmentationStorage
from scp.results.objects import to_bytes

# dciodvfy must say this of a private code, which it cannot know
_PRIVATE_CODE = re.compile("^Warning .* - Unrecognized defined term = <99HILUM>$")

# dciodvfy of 2022 does not know Label Map Segmentation Storage (2024). It is read as the
# Segmentation that it is but for two things: the type, and no segment named for each frame
_LABEL_MAP_DIFFERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"</SegmentationType\(0062,0001\)\[1\]> - Unrecognized enumerated value = <LABELMAP>$",
        r"SegmentIdentificationSequence\(0062,000a\)> - Missing attribute for Type 1 Required"
        r" - Module=<SegmentationMacro>$",
    )
)

_GROUP = r'/CONTAINER \(126010,DCM,"Imaging Measurements"\)/CONTAINER \(125007,[^/]*'
_NOT_IN_TEMPLATE = ": Content Item not in template$"
_PIXELMED_ALLOWED = tuple(
    re.compile(pattern)
    for pattern in (
        r"^Found (Comprehensive3DSR|ComprehensiveSR|EnhancedSR) IOD$",
        # the context group of procedures is extensible (PS3.16 CID 100), PixelMed's copy is of 2019
        r'^Error: .*/CODE \(121058,DCM,"Procedure reported"\): Code \(399208008,SCT,"Plain chest'
        r' X-ray"\) not found in context group 100$',
        # added to TID 4019 after PixelMed's copy
        rf'^Warning: .*{_GROUP}/TEXT \(122405,DCM,"Algorithm Manufacturer"\){_NOT_IN_TEMPLATE}',
        # TID 1501 is extensible: free qualitative evaluations, and the words that OHIF draws
        rf'^Warning: .*{_GROUP}/CODE \(121052,DCM,"Presence of property"\){_NOT_IN_TEMPLATE}',
        rf'^Warning: .*{_GROUP}/CODE \(111049,DCM,"Qualitative Difference"\){_NOT_IN_TEMPLATE}',
        rf'^Warning: .*{_GROUP}/TEXT \(121106,DCM,"Comment"\){_NOT_IN_TEMPLATE}',
        # TID 1500 is extensible: what has become of a finding hangs below it
        r'^Warning: .*/CONTAINER \(C0034375,UMLS,"Qualitative Evaluations"\)/CODE \([^/]*\)'
        rf'/CODE \(111049,DCM,"Qualitative Difference"\){_NOT_IN_TEMPLATE}',
    )
)
# the steps that it names, when it came to the end
_PIXELMED_SAYS = (
    "Found Root Template TID_1500 (MeasurementReport)",
    "Root Template Validation Complete",
    "IOD validation complete",
)
_PIXELMED_FILE = "File: "  # how ValidateReports.java begins each report


def dciodvfy(path: Path) -> list[str]:
    """Return every error and warning of dicom3tools' validator."""
    done = _run([require_peer("dciodvfy"), "-new", str(path)])
    said = (done.stdout + done.stderr).splitlines()  # of a valid object the name of its class
    wrong = [line for line in said if line.startswith(("Error", "Warning", "Abort"))]
    return wrong if said else ["nothing was said"]


def complaints(ds: Dataset, folder: Path, inherited: Collection[str] = ()) -> list[str]:
    """Return what the validators say of an object of ours, but for what must be said.

    ``inherited`` is what `dciodvfy` says of the source. A warning that the patient's own attributes
    raise there (a name of one word) stands on every object that keeps them. An error is no excuse,
    but in what says who and which study it is of: that stays as the sender knows it, because
    another Patient ID or Accession Number files the object elsewhere.
    """
    path = folder / "object.dcm"
    data, patterns = to_bytes(ds), [_PRIVATE_CODE]
    if ds.SOPClassUID == LabelMapSegmentationStorage:
        data = data.replace(LabelMapSegmentationStorage.encode(), SegmentationStorage.encode())
        patterns += _LABEL_MAP_DIFFERS
    path.write_bytes(data)
    said = [line for line in dciodvfy(path) if not _is_allowed(line, patterns)]
    said = [line for line in said if not (line in inherited and _may_be_inherited(line))]
    by_dcmtk = {"SR": dsrdump, "PR": dcmpschk}.get(ds.Modality)
    if by_dcmtk and by_dcmtk(path):
        path.write_bytes(to_bytes(_of_a_plain_patient(path)))
        said += by_dcmtk(path)
    return said


def _of_a_plain_patient(path: Path) -> Dataset:
    """Read an object as one of a patient and a study that DCMTK does not stumble on.

    `dcmpschk` takes UTF-8 for control characters and refuses an empty name, which is valid (Type
    2). What is odd there has been judged by dicom3tools.
    """
    plain = dcmread(path)
    for keyword in ALWAYS_THERE:
        setattr(plain, keyword, "ASCII^Name" if keyword.endswith("Name") else "")
    return plain


def _may_be_inherited(line: str) -> bool:
    return line.startswith("Warning") or any(f"</{name}(" in line for name in ALWAYS_THERE)


def dsrdump(path: Path) -> list[str]:
    """Return what DCMTK's reader of reports finds; also that it does not print the findings."""
    # says nothing of the report: it cannot check the values of UTF-8
    known = "W: The VR checker does not support this Specific Character Set: ISO_IR 192"
    done = _run([require_peer("dsrdump"), "-Ee", str(path)])
    lines = [line for line in _logged(done) if line != known]
    printed = "CAD Processing and Findings Summary" in done.stdout
    return lines if printed else [*lines, "not printed"]


def dcmpschk(path: Path) -> list[str]:
    """Return what DCMTK's check of presentation states finds; also that it did not pass."""
    lines = _logged(_run([require_peer("dcmpschk"), str(path)]))
    passed = "W: Test passed." in lines
    lines = [line for line in lines if line not in (f"W: Testing: {path}", "W: Test passed.")]
    return lines if passed else [*lines, "not passed"]


def pixelmed(paths: Sequence[Path]) -> list[list[str]]:
    """Return what PixelMed's SR validator finds in each report, but for what is allowed.

    One start of Java for all: it takes 2 s, and a report 3 to 8 s.
    """
    # without these, Java 17 refuses style sheets as long as PixelMed's
    limits = ("xpathTotalOpLimit", "xpathExprGrpLimit", "xpathExprOpLimit")
    options = [*(f"-Djdk.xml.{limit}=0" for limit in limits), "-XX:TieredStopAtLevel=1"]
    program = Path(__file__).with_name("ValidateReports.java")
    java = [require_peer("java"), *options, "--class-path", require_jar("pixelmed.jar")]
    said = _run([*java, str(program), *map(str, paths)]).stdout
    reports = said.split(_PIXELMED_FILE)[1:]
    assert len(reports) == len(paths), "PixelMed did not read every file"
    return [_found_by_pixelmed(report.splitlines()[1:]) for report in reports]


def _found_by_pixelmed(lines: Sequence[str]) -> list[str]:
    unsaid = [line for line in _PIXELMED_SAYS if line not in lines]
    return [f"not said: {line}" for line in unsaid] + [
        line
        for line in lines
        if line not in _PIXELMED_SAYS and not _is_allowed(line, _PIXELMED_ALLOWED)
    ]


def dcmp2pgm(image: Path, state: Path, folder: Path) -> npt.NDArray[np.uint8]:
    """Return the film as DCMTK shows it through a presentation state: (rows, columns), 0 black."""
    path = folder / "shown.pgm"
    done = _run([require_peer("dcmp2pgm"), "-p", str(state), str(image), str(path)])
    assert done.returncode == 0, done.stderr
    with Image.open(path) as shown:
        return np.asarray(shown)


def dcm2pnm(image: Path, folder: Path, overlays: str | None = None) -> npt.NDArray[np.uint8]:
    """Return a film as DCMTK draws it, with all its overlays ("0") or with none."""
    path = folder / "drawn.pgm"
    asked = ["-O"] if overlays is None else ["+O", overlays]
    done = _run([require_peer("dcm2pnm"), "+Wi", "1", *asked, str(image), str(path)])
    assert done.returncode == 0, done.stderr
    with Image.open(path) as drawn:
        return np.asarray(drawn)


def dcmp2pgm_state(image: Path, state: Path, folder: Path) -> Dataset:
    """Return a presentation state as DCMTK has understood it and writes it anew."""
    path = folder / "understood.dcm"
    command = [require_peer("dcmp2pgm"), "-p", str(state), "+S", str(path), str(image)]
    done = _run([*command, str(folder / "shown.pgm")])
    assert done.returncode == 0, done.stderr
    return dcmread(path)


def _is_allowed(line: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    return any(pattern.search(line) for pattern in patterns)


def _logged(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a program of DCMTK logs, and that it failed."""
    failed = [] if done.returncode == 0 else [f"exit status {done.returncode}"]
    return [*done.stderr.splitlines(), *failed]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=120
    )
