"""What is laid over a film in the browser: outlines, heat maps, differences.

The libraries that draw are large: `warm` loads them beside the first requests.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response
from PIL import Image
from sqlalchemy.orm import Session

from inference.comparison.layers import Layers
from inference.findings import FINDINGS, LABELS, Prediction
from inference.image.dicom_file import read_dicom
from inference.image.header import size
from inference.image.presentation import Presentation, read_presentation
from inference.image.undecodable import NotAFilm
from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.images.pixels import find
from scp.dashboard.rendering import NotHere, file_gone
from scp.index.overlays import newest_prediction, pair_row

# an answer may be replaced by a newer one under the same address
_ASK_AGAIN = "private, no-cache"


def router(context: AppContext) -> APIRouter:
    """Return the addresses of what lies over films."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/films/{uid}/overlay")
    def overlay(request: Request, uid: str) -> list[dict[str, Any]]:
        """Return the positive findings that have a map, the most probable first, with outlines."""
        prediction = _prediction(context, uid)
        viewed(context, request, uid, part=True)
        return outlined(context, uid, prediction) if prediction is not None else []

    @routes.get("/films/{uid}/heatmaps/{label}.png")
    def heatmap(request: Request, uid: str, label: str) -> Response:
        from inference.drawing.layers import heat_layer  # noqa: PLC0415

        viewed(context, request, uid, part=True)
        prediction = _prediction(context, uid)
        if prediction is None or _index(label) not in prediction.mapped:
            raise NotHere(
                f"No heat map of {label} is shown: it is below the site's threshold, or its map is"
                " withheld."
            )
        (rows, columns), how = _shown(context, uid)
        shape = (rows * how.aspect, columns)
        return _png(heat_layer(prediction.heatmaps[_index(label)], shape))

    @routes.get("/films/{uid}/compare/{prior_uid}/structural.png")
    def structural(uid: str, prior_uid: str) -> Response:
        from inference.drawing.layers import difference_layer  # noqa: PLC0415

        return _png(difference_layer(_layers(context, uid, prior_uid).structural))

    @routes.get("/films/{uid}/compare/{prior_uid}/heatmaps/{label}.png")
    def difference(uid: str, prior_uid: str, label: str) -> Response:
        from inference.drawing.layers import difference_layer  # noqa: PLC0415

        return _png(difference_layer(_layers(context, uid, prior_uid).heatmaps[_index(label)]))

    return routes


def warm() -> None:
    """Load the libraries that draw, before the first reader waits for them."""
    import inference.drawing.colours  # noqa: PLC0415
    import inference.drawing.layers  # noqa: PLC0415
    import inference.drawing.outlines  # noqa: PLC0415

    inference.drawing.colours.heat_table()
    inference.drawing.colours.difference_table()


def outlined(context: AppContext, uid: str, prediction: Prediction) -> list[dict[str, Any]]:
    """Return findings with their outlines, in pixels of the film, by the rule of the results.

    Raises NotHere where the film's file is gone or cannot be read.
    """
    from inference.drawing.layers import STROKES  # noqa: PLC0415
    from inference.drawing.outlines import outlines  # noqa: PLC0415

    shape, how = _shown(context, uid)
    rings = outlines(prediction, shape, context.about.regions, how.occluded)
    return [
        {
            "label": FINDINGS[i].label,
            "name": FINDINGS[i].name + prediction.place_of(i),
            "probability": float(prediction.probabilities[i]),
            "outline": None if (ring := rings[i]) is None else np.round(ring, 1).tolist(),
            "colour": "#{:02x}{:02x}{:02x}".format(*colour),
            "dash": dash or 0,
        }
        for i, (colour, dash) in zip(prediction.mapped, STROKES, strict=False)
    ]


def _index(label: str) -> int:
    if label not in LABELS:
        raise NotHere(f"There is no finding of this name. The findings are: {', '.join(LABELS)}.")
    return LABELS.index(label)


def _prediction(context: AppContext, uid: str) -> Prediction | None:
    with Session(context.engine) as session:
        return newest_prediction(session, uid, context.operating)


def _layers(context: AppContext, uid: str, prior_uid: str) -> Layers:
    with Session(context.engine) as session:
        pair = pair_row(session, uid, prior_uid, context.operating)
    if pair is None or pair.layers is None:
        raise NotHere(
            "No difference of these films can be shown: they were not compared, or are not"
            " comparable."
        )
    return pair.layers


def _shown(context: AppContext, uid: str) -> tuple[tuple[int, int], Presentation]:
    """Return the rows and columns of a film, and how it is to be shown."""
    path = context.archive.path(find(context, uid).path)
    try:
        ds = read_dicom(path, stop_before_pixels=True)
    except FileNotFoundError as error:
        raise file_gone("this film") from error
    except NotAFilm as error:
        raise NotHere(f"This object cannot be shown: {error}") from error
    shape = size(ds)
    return shape, read_presentation(ds, shape)


def _png(layer: npt.NDArray[np.uint8]) -> Response:
    out = io.BytesIO()
    Image.fromarray(layer).save(out, "PNG", compress_level=1)
    headers = {"Cache-Control": _ASK_AGAIN}
    return Response(out.getvalue(), media_type="image/png", headers=headers)
