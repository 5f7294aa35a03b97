"""Outlines and labels over the film as a presentation state, which a viewer can switch off.

It also fixes how the film's greys are shown: those of our pictures, in the right polarity. A
presentation state replaces the film's own window and polarity, so one without them would show an
inverted or washed-out film. So it does with shutter and overlays (`scp.results.display`).

References
----------
PS3.3 A.33.1 (Grayscale Softcopy Presentation State), C.11.6, C.11.8; PS3.4 N.2.
"""

from collections.abc import Iterator

import highdicom as hd
from highdicom import pr
from pydicom.dataset import Dataset

from inference.image.grayscale import Window
from inference.image.header import items, number, text
from inference.image.lut import Lut, read_lut
from scp.config.results import ResultSettings
from scp.results.answer import Answer, ResultObject
from scp.results.display import overlay_layers, show_as_film
from scp.results.envelope import CommonModules, minimal_reference
from scp.results.kinds import PRESENTATION_STATE
from scp.results.measurements import label_of
from scp.results.tracking import tracking_identifier, tracking_uid
from scp.results.uids import named

_LAYER = "AI_FINDINGS"
_YELLOW = hd.color.CIELabColor(85, -5, 75)

# share of the film: the box in which a label is written
_LABEL_WIDTH, _LABEL_HEIGHT = 0.3, 0.03


def presentation_state(answer: Answer, settings: ResultSettings) -> ResultObject:
    """Make the presentation state of a grey film with at least one outline.

    Raises
    ------
    ValueError
        If no finding has an outline.
    """
    if not answer.outlined:
        raise ValueError("a presentation state needs an outline")
    modules = CommonModules(answer, PRESENTATION_STATE, settings)
    film = minimal_reference(modules.current)
    layer = pr.GraphicLayer(
        layer_name=_LAYER, order=1, description="AI findings", display_color=_YELLOW
    )
    annotation = pr.GraphicAnnotation(
        referenced_images=[film],
        graphic_layer=layer,
        graphic_objects=list(_lines(answer)),
        text_objects=list(_labels(answer)),
    )
    inverse = answer.source.PhotometricInterpretation == "MONOCHROME1"
    ds: Dataset = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        content_label=_LAYER,
        content_description="Outlines of AI findings, not verified by a physician",
        content_creator_name="",
        graphic_annotations=[annotation],
        graphic_layers=[layer, *overlay_layers(answer.film)],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if inverse else "IDENTITY"
        ),
        **modules.arguments(),
    )
    show_as_film(ds, answer.film)
    _copy_modality_lut(ds, answer.source)
    if answer.film.voi is not None:
        ds.SoftcopyVOILUTSequence = [_voi_lut(answer.film.voi)]
    ds.BodyPartExamined = modules.body_part
    modules.add_common_modules(ds)
    return named(PRESENTATION_STATE, ds)[0]


def _lines(answer: Answer) -> Iterator[pr.GraphicObject]:
    for i, ring in answer.outlined:
        yield pr.GraphicObject(
            graphic_type=pr.GraphicTypeValues.POLYLINE,
            graphic_data=ring,
            units=pr.AnnotationUnitsValues.PIXEL,
            tracking_id=tracking_identifier(i),
            tracking_uid=tracking_uid(answer, i),
        )


def _labels(answer: Answer) -> Iterator[pr.TextObject]:
    """Write each label above its outline, where none is yet."""
    taken: list[tuple[float, float]] = []
    rows, columns = answer.film.pixels.shape
    width, height = _LABEL_WIDTH * columns, _LABEL_HEIGHT * rows
    for i, ring in answer.outlined:
        left = min(max(0.0, float(ring[:, 0].min())), columns - width)
        top = min(max(0.0, float(ring[:, 1].min()) - 1.2 * height), rows - height)
        while any(abs(left - x) < width and abs(top - y) < height for x, y in taken):
            top = (top + height) % (rows - height)
        taken.append((left, top))
        yield pr.TextObject(
            text_value=label_of(answer, i),
            units=pr.AnnotationUnitsValues.PIXEL,
            bounding_box=(left, top, left + width, top + height),
            text_justification="LEFT",
            tracking_id=tracking_identifier(i),
            tracking_uid=tracking_uid(answer, i),
        )


def _copy_modality_lut(ds: Dataset, film: Dataset) -> None:
    """Keep how stored values become modality values: a film's own is not used beside a state's."""
    for item in items(film, "ModalityLUTSequence"):
        lut = read_lut(item, film)
        if lut is not None:
            copied = _lut_item(lut)
            copied.ModalityLUTType = text(item, "ModalityLUTType") or "US"
            ds.ModalityLUTSequence = [copied]
            return
    slope, intercept = number(film, "RescaleSlope"), number(film, "RescaleIntercept")
    if slope is not None or intercept is not None:
        ds.RescaleSlope, ds.RescaleIntercept = _ds(slope or 1), _ds(intercept or 0)
        ds.RescaleType = text(film, "RescaleType") or "US"


def _voi_lut(voi: Window | Lut) -> Dataset:
    """Return what made the greys of our pictures."""
    made = Dataset()
    if isinstance(voi, Lut):
        made.VOILUTSequence = [_lut_item(voi)]
    else:
        exact = voi.function == "LINEAR_EXACT"  # written as LINEAR, which every viewer knows
        made.WindowCenter = _ds(voi.centre + 0.5 if exact else voi.centre)
        made.WindowWidth = _ds(voi.width + 1 if exact else voi.width)
        made.VOILUTFunction = "SIGMOID" if voi.function == "SIGMOID" else "LINEAR"
    return made


def _lut_item(lut: Lut) -> Dataset:
    item = Dataset()
    # the count has 16 bits, and is unsigned even where the first value makes it SS (C.11.1.1.1)
    count = len(lut.entries) % 2**16
    if lut.first < 0:
        signed = count - 2**16 if count >= 2**15 else count
        item.add_new("LUTDescriptor", "SS", [signed, int(lut.first), lut.bits])
    else:
        item.add_new("LUTDescriptor", "US", [count, int(lut.first), lut.bits])
    item.add_new("LUTData", "OW", lut.entries.astype("<u2").tobytes())
    return item


def _ds(number: float) -> str:
    """Write a number as a decimal string: 16 characters at most (PS3.5 6.2)."""
    return f"{number:.9g}"
