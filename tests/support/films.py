"""Makes plausible chest films as DICOM objects, for tests and benchmarks. The patients are made up.

The same arguments always make the same object, byte for byte, so a resend is a resend.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

DX_CLASSES = (DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing)
VIEW_CODES = {
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
    "LL": ("399173006", "left lateral"),
    "RL": ("399198007", "right lateral"),
}


def chest(rows: int = 256, columns: int = 224, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Draw a chest-like picture: (rows, columns) float32 in [0, 1], bright is dense.

    Lungs, heart, diaphragm, clavicles and ribs at fixed places; ``seed`` sets vessels and grain.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x = (y + 0.5) / rows, (x + 0.5) / columns
    picture = 0.78 - 0.35 * np.abs(x - 0.5) - 0.05 * y
    lungs = sum(
        np.exp(-((((x - cx) / 0.15) ** 2 + ((y - 0.44) / 0.27) ** 2) ** 2)) for cx in (0.28, 0.72)
    )
    picture -= 0.42 * lungs
    picture += 0.30 * np.exp(-((((x - 0.56) / 0.14) ** 2 + ((y - 0.63) / 0.13) ** 2) ** 2))
    picture += 0.20 / (1 + np.exp(-(y - 0.76 - 0.12 * (x - 0.3) ** 2) / 0.015))
    for k in range(8):
        bow = y - 0.16 - 0.075 * k - 0.45 * (np.abs(x - 0.5) - 0.22) ** 2
        picture += 0.05 * np.exp(-((bow / 0.010) ** 2))
    for _ in range(24):  # vessels and hila, a little different in every person
        cx, cy = rng.choice([0.30, 0.70]) + rng.normal(0, 0.06), 0.45 + rng.normal(0, 0.11)
        radius, gain = rng.uniform(0.008, 0.03), rng.uniform(0.03, 0.10)
        picture += gain * lungs * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
    picture += rng.normal(0, 0.004, picture.shape)
    made: npt.NDArray[np.float32] = np.clip(picture, 0, 1).astype(np.float32)
    return made


def philips_cr() -> Path:
    """Return the real Philips CR film of the package pydicom-data."""
    return Path(str(files("data_store") / "data" / "RG1_UNCR.dcm"))


def made_uid(*parts: object) -> UID:
    """Derive a UID from ``parts`` (UUID-derived form, PS3.5 B.2)."""
    digest = bytearray(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UID(f"2.25.{int.from_bytes(bytes(digest), 'big')}")


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Make one code sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def make_film_ds(
    pixels: npt.NDArray[Any] | None = None,
    *,
    rows: int = 256,
    columns: int = 224,
    sop_class: UID = DigitalXRayImageStorageForPresentation,
    photometric: str = "MONOCHROME2",
    bits_stored: int = 12,
    signed: bool = False,
    view: str = "PA",
    patient_id: str = "TEST-1",
    issuer: str = "",
    study_date: str = "20240102",
    study_time: str = "101500",
    transfer_syntax: UID = ExplicitVRLittleEndian,
    charset: str = "ISO_IR 192",
    patient_name: str = "Test^Film",
    seed: int = 0,
    **overrides: Any,
) -> FileDataset:
    """Make one chest film as a DICOM object ready to be saved or sent.

    Parameters
    ----------
    pixels
        (rows, columns). Float in [0, 1], bright is dense: scaled to ``bits_stored`` and inverted
        for MONOCHROME1. Integer: stored values, taken as they stand. None: `chest` of ``seed``.
    sop_class
        DX For Presentation or For Processing, Computed Radiography, or Secondary Capture.
    transfer_syntax
        Uncompressed, deflated, or any that pydicom's encoders know.
    overrides
        Elements by keyword, set last; None removes the element.
    """
    if pixels is None:
        pixels = chest(rows, columns, seed=seed)
    stored = _stored(pixels, bits_stored, signed=signed, invert=photometric == "MONOCHROME1")
    ds = _header(stored, sop_class, photometric, bits_stored, signed=signed, view=view)
    ds.SpecificCharacterSet = charset
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = patient_name, patient_id, issuer
    if not issuer:
        del ds.IssuerOfPatientID
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", study_date)
        setattr(ds, f"{kind}Time", study_time)
    ds.StudyID = study_date[2:]
    ds.AccessionNumber = f"A{study_date}{study_time}"[:16]
    study = (patient_id, issuer, study_date, study_time)
    series = (*study, sop_class, view, transfer_syntax)
    content = (photometric, bits_stored, charset, sorted(map(str, overrides.items())))
    ds.StudyInstanceUID = made_uid("study", *study)
    ds.SeriesInstanceUID = made_uid("series", *series)
    pixel_hash = hashlib.sha256(stored.tobytes()).hexdigest()
    ds.SOPInstanceUID = made_uid("film", *series, *content, pixel_hash)
    film = _as_file(ds, transfer_syntax, stored)
    for keyword, value in overrides.items():
        if value is None:
            film.pop(keyword, None)
        else:
            setattr(film, keyword, value)
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    return film


def _stored(
    pixels: npt.NDArray[Any], bits_stored: int, *, signed: bool, invert: bool
) -> npt.NDArray[np.integer[Any]]:
    kind = f"{'i' if signed else 'u'}{1 if bits_stored <= 8 else 2}"
    if np.issubdtype(pixels.dtype, np.floating):
        values = np.rint((1 - pixels if invert else pixels) * (2**bits_stored - 1))
        pixels = values - 2 ** (bits_stored - 1) if signed else values
    return pixels.astype(kind)


def _header(
    stored: npt.NDArray[np.integer[Any]],
    sop_class: UID,
    photometric: str,
    bits_stored: int,
    *,
    signed: bool,
    view: str,
) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Manufacturer, ds.ManufacturerModelName = "Made up", "Phantom"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.InstitutionName = "1", "1.0", "Test Hospital"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19600101", "F", "064Y"
    ds.ReferringPhysicianName = "Referring^Doctor"
    ds.StudyDescription, ds.SeriesDescription = "XR CHEST", "Chest"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.Modality = "CR"
    ds.BodyPartExamined = "CHEST"
    ds.PatientOrientation = ["L", "F"] if view in ("PA", "AP") else ["A", "F"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated = 8 * stored.dtype.itemsize
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits_stored, bits_stored - 1, int(signed)
    ds.ImagerPixelSpacing = ["0.2", "0.2"]
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    if sop_class == SecondaryCaptureImageStorage:
        ds.ImageType = ["DERIVED", "SECONDARY"]
        ds.ConversionType = "WSD"
        del ds.ImagerPixelSpacing
        return ds
    ds.ViewPosition = view
    if sop_class == ComputedRadiographyImageStorage:
        ds.PlateID, ds.KVP = "P1", "120"
    if sop_class in DX_CLASSES:
        _add_dx(ds, photometric, view)
    return ds


def _add_dx(ds: Dataset, photometric: str, view: str) -> None:
    ds.Modality = "DX"
    processing = ds.SOPClassUID == DigitalXRayImageStorageForProcessing
    ds.PresentationIntentType = "FOR PROCESSING" if processing else "FOR PRESENTATION"
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = [coded("43799004", "SCT", "Chest cavity")]
    inverse = photometric == "MONOCHROME1"
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = 1 if inverse else -1
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    if not processing:  # a window belongs to images For Presentation only
        ds.WindowCenter = "0" if ds.PixelRepresentation else str(2 ** (ds.BitsStored - 1))
        ds.WindowWidth = str(2**ds.BitsStored)
    ds.DetectorType, ds.DetectorConfiguration, ds.DetectorID = "DIRECT", "AREA", "D1"
    ds.PositionerType = "COLUMN"
    ds.AcquisitionContextSequence = []
    if view in VIEW_CODES:
        value, meaning = VIEW_CODES[view]
        item = coded(value, "SCT", meaning)
        item.ViewModifierCodeSequence = []
        ds.ViewCodeSequence = [item]


def _as_file(ds: Dataset, syntax: UID, stored: npt.NDArray[np.integer[Any]]) -> FileDataset:
    big = syntax == ExplicitVRBigEndian
    raw = stored.astype(stored.dtype.newbyteorder(">" if big else "<")).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 and big else "OW"  # words would be swapped
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        ds.SOPClassUID,
        ds.SOPInstanceUID,
    )
    meta.ImplementationClassUID = made_uid("tests/support/films.py")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    film = FileDataset(
        "",
        ds,
        preamble=b"\0" * 128,
        file_meta=meta,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=not big,
    )
    if syntax.is_encapsulated:
        film.compress(syntax, generate_instance_uid=False)
    return film


def overlaid(ds, plane, group=0x6000, *, origin=(1, 1), kind="G"):
    """Put an overlay plane (y, x) into an object."""
    packed = np.packbits(plane.astype(np.uint8).ravel(), bitorder="little").tobytes()
    for element, vr, value in (
        (0x10, "US", plane.shape[0]),
        (0x11, "US", plane.shape[1]),
        (0x40, "CS", kind),
        (0x50, "SS", list(origin)),
        (0x100, "US", 1),
        (0x102, "US", 0),
        (0x3000, "OW", packed + b"\0" * (len(packed) % 2)),
    ):
        ds.add_new(group << 16 | element, vr, value)
    return ds


def lut_item(entries, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item
