"""Heat maps and regions as segmentations, for algorithms and for viewers that draw them.

References
----------
PS3.3 A.51 (Segmentation), A.90 (Label Map Segmentation), C.8.20.
"""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom import seg
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.sr.codedict import codes

from inference.drawing.layers import STROKES, fitted_size
from inference.drawing.outlines import GRID
from inference.findings import FINDINGS
from inference.image.film import eight_bits
from inference.image.overlays import shrunk
from inference.image.resizing import resize
from scp.config.results import ResultSettings
from scp.results.answer import Answer, ResultObject
from scp.results.captures import hand_on_loss, orientation
from scp.results.codes import ARTIFICIAL_INTELLIGENCE, code_of
from scp.results.envelope import CommonModules, minimal_reference
from scp.results.kinds import LABEL_MAP, SEGMENTATION
from scp.results.tracking import tracking_identifier, tracking_uid
from scp.results.uids import UNNAMED, named

FULL_SCALE = 255  # Maximum Fractional Value: what a map's 1 is stored as


def segmentation(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the heat maps of all positive findings that have one, one fractional segment each.

    A value of `FULL_SCALE` is the strongest evidence for it; it is no probability of anything
    at that place. Each map is resized from the network's grid to the pixels of the film, because a
    segment without a frame of reference has the pixels of its source (PS3.3 C.8.20.2).

    Raises
    ------
    ValueError
        If no positive finding has a map.
    """
    mapped = sorted(answer.prediction.mapped)
    if not mapped:
        raise ValueError("a segmentation needs a heat map")
    modules = CommonModules(answer, SEGMENTATION, settings)
    ds = _made(
        answer,
        modules,
        mapped,
        np.zeros((1, 1, 1, len(mapped)), np.float32),
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        max_fractional_value=FULL_SCALE,
        content_label="AI_HEAT_MAPS",
        content_description="Class activation maps, 255 is most; not verified by a physician",
    )
    # Only now: highdicom takes 0.1 s and more to check and convert a map of 5 million pixels
    ds.Rows, ds.Columns = answer.film.pixels.shape
    ds.PixelData = encapsulate([_encoded(_frame(answer, i), ds) for i in mapped])
    ds.SharedFunctionalGroupsSequence = [_shared_functional_groups(answer)]
    return _finished(ds, modules)


def label_map(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the outlined regions, as OHIF draws them; where two overlap, the more probable is kept.

    OHIF wants an orientation and a spacing, which a film does not have: it is given the axes of the
    picture, and the spacing at the detector, or pixels 1 mm wide.

    Raises
    ------
    ValueError
        If no finding has an outline.
    """
    if not answer.outlined:
        raise ValueError("a label map needs an outline")
    modules = CommonModules(answer, LABEL_MAP, settings)
    ds = _made(
        answer,
        modules,
        [i for i, _ in answer.outlined],
        _labelled(answer)[None],
        segmentation_type="LABELMAP",
        content_label="AI_REGIONS",
        content_description="Regions of AI findings, not verified by a physician",
    )
    # highdicom describes a background; OHIF would list it and shift every colour by one
    ds.SegmentSequence = [item for item in ds.SegmentSequence if item.SegmentNumber]
    ds.SharedFunctionalGroupsSequence = [_plane(answer)]
    return _finished(ds, modules)


def _made(
    answer: Answer,
    modules: CommonModules,
    findings: Sequence[int],
    pixels: npt.NDArray[Any],
    **kind: Any,
) -> Dataset:
    """Make a segmentation of one film; ``pixels`` (1, rows, columns[, segments])."""
    film = minimal_reference(modules.current)
    film.Rows, film.Columns = pixels.shape[1:3]
    ds: Dataset = seg.Segmentation(
        source_images=[film],
        pixel_array=pixels,
        segment_descriptions=_segments(answer, findings),
        transfer_syntax_uid=modules.kind.transfer_syntax,
        content_creator_name="",
        omit_empty_frames=False,
        **kind,
        **modules.arguments(),
    )
    return ds


def _frame(answer: Answer, finding: int) -> npt.NDArray[np.uint8]:
    """Resize a map to the film: (rows, columns), from 0 to `FULL_SCALE`."""
    shape, occluded = answer.film.pixels.shape, answer.film.presentation.occluded
    fine = resize(answer.prediction.heatmaps[finding], fitted_size(shape, GRID, GRID))
    if occluded is not None:
        fine = np.where(shrunk(occluded, *fine.shape), 0, fine)
    page = Image.fromarray(eight_bits(fine)).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(page)


def _encoded(frame: npt.NDArray[np.uint8], ds: Dataset) -> bytes:
    layout = as_pixel_options(ds) | {"number_of_frames": 1}
    encoder = get_encoder(SEGMENTATION.transfer_syntax)
    return encoder.encode(frame, encoding_plugin="pylibjpeg", **layout)


def _labelled(answer: Answer) -> npt.NDArray[np.uint8]:
    """Fill the outlines with the numbers of their segments; (rows, columns)."""
    rows, columns = answer.film.pixels.shape
    page = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(page)
    numbered = enumerate(answer.outlined, start=1)
    by_probability = sorted(numbered, key=lambda one: answer.prediction.probabilities[one[1][0]])
    for number, (_, ring) in by_probability:
        pen.polygon([(x - 0.5, y - 0.5) for x, y in ring.tolist()], fill=number)
    return np.asarray(page)


def _segments(answer: Answer, findings: Sequence[int]) -> list[seg.SegmentDescription]:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=answer.model.name, family=ARTIFICIAL_INTELLIGENCE, version=answer.model.version
    )
    made = []
    for number, i in enumerate(findings, start=1):
        finding = FINDINGS[i]
        segment = seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{tracking_identifier(i)}{answer.prediction.place_of(i)}",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=code_of(finding.code),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=tracking_uid(answer, i),
            tracking_id=tracking_identifier(i),
            anatomic_regions=[code_of(finding.site)],
        )
        colour, _ = STROKES[(number - 1) % len(STROKES)]
        segment.RecommendedDisplayCIELabValue = list(hd.color.CIELabColor.from_rgb(*colour).value)
        made.append(segment)
    return made


def _shared_functional_groups(answer: Answer) -> Dataset:
    """Return what all frames share; without it OHIF's whole page breaks, even where it draws none.

    A film whose spacing is not stated has none here either, but the one element that is left out
    least: the thickness of its only slice.
    """
    measures, shared = Dataset(), Dataset()
    if answer.film.spacing_mm is not None:
        measures.PixelSpacing = [f"{mm:.6g}" for mm in answer.film.spacing_mm]
    measures.SliceThickness = "1"
    shared.PixelMeasuresSequence = [measures]
    return shared


def _plane(answer: Answer) -> Dataset:
    """Return what frames share, with an orientation, and with a spacing whatever is stated."""
    shared, plane = _shared_functional_groups(answer), Dataset()
    if answer.film.spacing_mm is None:
        tall = f"{answer.film.presentation.aspect:.6g}"
        shared.PixelMeasuresSequence[0].PixelSpacing = [tall, "1"]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [plane]
    return shared


def _finished(ds: Dataset, modules: CommonModules) -> ResultObject:
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = UNNAMED  # highdicom makes one up
    ds.PatientOrientation = orientation(modules.current)
    ds.BodyPartExamined = modules.body_part
    hand_on_loss(ds, [modules.current])
    modules.add_common_modules(ds)
    return named(modules.kind, ds)[0]
