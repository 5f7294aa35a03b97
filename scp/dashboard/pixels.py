"""A film's own values for a viewer in the browser, decoded once.

Not as PNG: a browser cuts 16 bits down to 8, and packing 15 MB takes longer than sending them. The
values go as they are, with the grey that hilum gives each, so that a reader who changes nothing
sees what was read, and one who changes the window loses nothing.
"""

import struct
from collections.abc import Callable

import numpy as np
from fastapi import APIRouter, Request, Response
from pydicom import dcmread
from sqlalchemy.orm import Session

from inference.comparison.layers import Layers
from inference.film import NotAFilm, read_greys
from inference.grayscale import Greys
from scp.dashboard.access import viewed
from scp.dashboard.page import NO_FILM, NotHere, file_gone
from scp.dashboard.site import Site
from scp.index.pictures import FilmFile, film_file, pair_row

KEPT = "private, no-cache"  # asked for again each time, sent again only when it is another
MEDIA_TYPE = "application/vnd.hilum.film"
_HEADER = struct.Struct("<6I")
COARSE_PX = 1250  # long edge, of what a page shows until all has come


def pack(greys: Greys, step: int = 1) -> bytes:
    """Return a film as `static/viewer.js` reads it, little endian.

    Rows, columns, step, number of greys, bytes of a value and 0, 32 bits each; the greys, 8 bits
    each; the values, 8 or 16 bits each: of every ``step``-th row every ``step``-th one.
    """
    rows, columns = greys.values.shape
    order = greys.values.dtype.newbyteorder("<")
    values = np.ascontiguousarray(greys.values[::step, ::step], order)
    header = _HEADER.pack(rows, columns, step, greys.shown.size, order.itemsize, 0)
    return b"".join((header, greys.shown.tobytes(), values.tobytes()))


def coarser(data: bytes) -> bytes:
    """Return a packed film at about `COARSE_PX`."""
    rows, columns, _, entries, width, _ = _HEADER.unpack_from(data)
    shown = np.frombuffer(data, np.uint8, entries, _HEADER.size)
    values = np.frombuffer(data, f"<u{width}", offset=_HEADER.size + entries)
    step = -(-max(rows, columns) // COARSE_PX)
    return pack(Greys(values.reshape(rows, columns), shown), step)


def router(site: Site) -> APIRouter:
    """Return the addresses of films' values."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/films/{uid}/pixels")
    def pixels(request: Request, uid: str, coarse: bool = False) -> Response:
        """Return a film; ``coarse`` for a first look, while the whole of it is on its way."""
        file = find(site, uid)
        viewed(site, request, uid, part=True)
        key, make = file.sha256, lambda: pack(read(site, file))
        return _answer(site, request, key, make, coarse=coarse)

    @routes.get("/films/{uid}/compare/{prior_uid}/pixels")
    def aligned(request: Request, uid: str, prior_uid: str, coarse: bool = False) -> Response:
        """Return the prior laid onto the film."""
        current, prior = find(site, uid), find(site, prior_uid)
        viewed(site, request, prior_uid, part=True)
        with Session(site.engine) as session:
            pair = pair_row(session, uid, prior_uid, site.operating)
        if pair is None or pair.layers is None:
            raise NotHere("These films were not laid onto each other.")
        layers = pair.layers
        key = f"{current.sha256}-{prior.sha256}"

        def make() -> bytes:
            return pack(laid(read(site, prior), layers, read(site, current)))

        return _answer(site, request, key, make, coarse=coarse)

    return routes


def read(site: Site, file: FilmFile) -> Greys:
    """Decode a film from the archive.

    Raises
    ------
    NotHere
        Its file is gone, or it holds no film.
    """
    try:
        return read_greys(dcmread(site.archive.path(file.path)))
    except FileNotFoundError as error:
        raise file_gone("this film") from error
    except NotAFilm as error:
        raise NotHere(f"This object cannot be shown: {error}") from error


def laid(prior: Greys, layers: Layers, current: Greys) -> Greys:
    """Lay a prior onto the current film, with the prior's own greys; turned back if inverted."""
    values, shown = prior.values, prior.shown
    if layers.inverted:
        values, shown = values.max() - values, 255 - shown[values.max() - np.arange(shown.size)]
    moved = np.rint(layers.move(values, *current.values.shape))
    return Greys(moved.astype(prior.values.dtype), shown)


def find(site: Site, uid: str) -> FilmFile:
    """Return where a film lies. Raises `NotHere` when it was never received."""
    with Session(site.engine) as session:
        file = film_file(session, uid)
    if file is None:
        raise NotHere(NO_FILM)
    return file


def _answer(
    site: Site, request: Request, key: str, make: Callable[[], bytes], *, coarse: bool
) -> Response:
    """Answer with a packed film, which is made once for all who look."""
    headers = {"ETag": f'"{key}{"-coarse" if coarse else ""}"', "Cache-Control": KEPT}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = site.kept.get(key, make)
    return Response(coarser(data) if coarse else data, media_type=MEDIA_TYPE, headers=headers)
