"""A film's own values for a viewer in the browser, decoded once.

Not as PNG: a browser cuts 16 bits down to 8, and packing 15 MB takes longer than sending them. The
values go as they are, with the grey that hilum gives each, so that a reader who changes nothing
sees what was read, and one who changes the window loses nothing.
"""

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response
from PIL import Image
from sqlalchemy.orm import Session

from inference.comparison.layers import Layers
from inference.image.dicom_file import read_dicom
from inference.image.film import NotAFilm, read_greys
from inference.image.grayscale import Greys
from inference.image.overlays import BoolArray, rim, shrunk
from inference.image.presentation import Presentation, read_presentation
from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.rendering import NO_FILM, NotHere, file_gone
from scp.index.overlays import FilmFile, film_file, pair_row

KEPT = "private, no-cache"  # asked for again each time, sent again only when it is another
MEDIA_TYPE = "application/vnd.hilum.film"
_HEADER = struct.Struct("<5If4s")
COARSE_PX = 1250  # long edge, of what a page shows until all has come


def pack(greys: Greys, how: Presentation | None = None) -> bytes:
    """Return a film as `static/viewer.js` reads it, little endian.

    Rows, columns, step (1), number of greys and bytes of a value, 32 bits each; height of a pixel
    over its width, float32; the letters of the left and the right side (0: not stated), 1 where
    annotations lie over the film, and 0, 8 bits each; the greys, 8 bits each; the values, 8 or 16
    bits each.
    """
    rows, columns = greys.values.shape
    how = how or Presentation()
    order = greys.values.dtype.newbyteorder("<")
    letters = "".join(how.sides or "\0\0").encode()
    signs = letters + bytes([how.occluded is not None or how.graphics is not None, 0])
    header = _HEADER.pack(rows, columns, 1, greys.shown.size, order.itemsize, how.aspect, signs)
    values = np.ascontiguousarray(greys.values, order)
    return b"".join((header, greys.shown.tobytes(), values.tobytes()))


def coarser(data: bytes) -> bytes:
    """Return a packed film at about `COARSE_PX`: every ``step``-th value of every such row."""
    rows, columns, _, entries, width, *how = _HEADER.unpack_from(data)
    step = -(-max(rows, columns) // COARSE_PX)
    header = _HEADER.pack(rows, columns, step, entries, width, *how)
    values = np.frombuffer(data, f"<u{width}", offset=_HEADER.size + entries)
    coarse = np.ascontiguousarray(values.reshape(rows, columns)[::step, ::step])
    shown = data[_HEADER.size : _HEADER.size + entries]
    return b"".join((header, shown, coarse.tobytes()))


def router(context: AppContext) -> APIRouter:
    """Return the addresses of films' values."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/films/{uid}/pixels")
    def pixels(request: Request, uid: str, coarse: bool = False) -> Response:
        """Return a film; ``coarse`` for a first look, while the whole of it is on its way."""
        file = find(context, uid)
        viewed(context, request, uid, part=True)
        key, make = file.sha256, lambda: pack(*read(context, file))
        return _answer(context, request, key, make, coarse=coarse)

    @routes.get("/films/{uid}/compare/{prior_uid}/pixels")
    def aligned(request: Request, uid: str, prior_uid: str, coarse: bool = False) -> Response:
        """Return the prior laid onto the film."""
        current, prior = find(context, uid), find(context, prior_uid)
        viewed(context, request, prior_uid, part=True)
        with Session(context.engine) as session:
            pair = pair_row(session, uid, prior_uid, context.operating)
        if pair is None or pair.layers is None:
            raise NotHere("These films were not aligned.")
        layers = pair.layers
        key = f"{current.sha256}-{prior.sha256}"

        def make() -> bytes:
            (greys, how), (onto, _) = read(context, prior), read(context, current)
            return pack(warped(greys, layers, onto), laid_presentation(how, layers))

        return _answer(context, request, key, make, coarse=coarse)

    @routes.get("/films/{uid}/annotations.png")
    def annotations(request: Request, uid: str) -> Response:
        """Return what lies over a film: its overlays, and black where its shutter hides it."""
        file = find(context, uid)
        viewed(context, request, uid, part=True)
        return _picture(annotated(read(context, file)[1], None))

    @routes.get("/films/{uid}/compare/{prior_uid}/annotations.png")
    def aligned_annotations(request: Request, uid: str, prior_uid: str) -> Response:
        """Return what lies over the prior, laid onto the film with it."""
        prior = find(context, prior_uid)
        viewed(context, request, prior_uid, part=True)
        with Session(context.engine) as session:
            pair = pair_row(session, uid, prior_uid)
        if pair is None or pair.layers is None:
            raise NotHere("These films were not aligned.")
        return _picture(annotated(read(context, prior)[1], pair.layers))

    return routes


def read(context: AppContext, file: FilmFile) -> tuple[Greys, Presentation]:
    """Decode a film from the archive, and read how it is to be shown.

    Raises
    ------
    NotHere
        Its file is gone, or it holds no film.
    """
    try:
        ds = read_dicom(context.archive.path(file.path))
        greys = read_greys(ds)
    except FileNotFoundError as error:
        raise file_gone("this film") from error
    except NotAFilm as error:
        raise NotHere(f"This object cannot be shown: {error}") from error
    rows, columns = greys.values.shape
    return greys, read_presentation(ds, (rows, columns))


def annotated(how: Presentation, layers: Layers | None) -> npt.NDArray[np.uint8]:
    """Return the overlays of a film in white with a dark rim, and black for its shutter.

    Parameters
    ----------
    layers
        How the film was laid onto another one; None: it stays as it is.

    Returns
    -------
    ndarray
        (rows, columns, 4): red, green, blue, opacity.

    Raises
    ------
    NotHere
        The header states no shutter and no overlay.
    """
    masks = [mask for mask in (how.occluded, how.graphics) if mask is not None]
    if not masks:
        raise NotHere("This film has no annotations: its header states no shutter and no overlay.")
    size = annotation_size(masks[0].shape)
    occluded, graphics = (
        np.zeros(size, np.bool_) if mask is None else _laid_mask(mask, layers, size, least)
        for mask, least in ((how.occluded, 0.5), (how.graphics, 0.1))
    )
    picture = np.zeros((*size, 4), np.uint8)
    picture[occluded | rim(graphics), 3] = 255
    picture[graphics] = 255
    return picture


def annotation_size(shape: Sequence[int]) -> tuple[int, int]:
    """Return rows and columns of at most twice `COARSE_PX`: strokes stay, and it is soon sent."""
    scale = min(1.0, 2 * COARSE_PX / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _laid_mask(
    mask: BoolArray, layers: Layers | None, size: tuple[int, int], least: float
) -> BoolArray:
    small = shrunk(mask, *size, least)
    return small if layers is None else layers.move(small, *size) >= 0.5


def laid_presentation(how: Presentation, layers: Layers) -> Presentation:
    """Return how a prior is to be shown once it is laid onto the current film.

    It has that film's grid. Its letters change sides where it was turned left to right.
    """
    across = layers.places[0, layers.places.shape[1] // 2]
    turned = how.mirrored() if across[-1] < across[0] else how
    return replace(how, sides=turned.sides)


def warped(prior: Greys, layers: Layers, current: Greys) -> Greys:
    """Lay a prior onto the current film, with the prior's own greys; turned back if inverted."""
    values, shown = prior.values, prior.shown
    if layers.inverted:
        values, shown = values.max() - values, 255 - shown[values.max() - np.arange(shown.size)]
    moved = np.rint(layers.move(values, *current.values.shape))
    return Greys(moved.astype(prior.values.dtype), shown)


def _picture(rgba: npt.NDArray[np.uint8]) -> Response:
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG", compress_level=1)
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": KEPT})


def find(context: AppContext, uid: str) -> FilmFile:
    """Return where a film lies. Raises `NotHere` when it was never received."""
    with Session(context.engine) as session:
        file = film_file(session, uid)
    if file is None:
        raise NotHere(NO_FILM)
    return file


def _answer(
    context: AppContext, request: Request, key: str, make: Callable[[], bytes], *, coarse: bool
) -> Response:
    """Answer with a packed film, which is made once for all who look."""
    headers = {"ETag": f'"{key}{"-coarse" if coarse else ""}"', "Cache-Control": KEPT}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = context.image_cache.get(key, make)
    return Response(coarser(data) if coarse else data, media_type=MEDIA_TYPE, headers=headers)
