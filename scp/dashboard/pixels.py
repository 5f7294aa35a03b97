"""A film's own values for a viewer in the browser, decoded once.

Not as PNG: a browser cuts 16 bits down to 8, and packing 15 MB takes longer than sending them. The
values go as they are, with the grey that hilum gives each, so that a reader who changes nothing
sees what was read, and one who changes the window loses nothing.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import numpy as np
from fastapi import APIRouter, Request, Response
from pydicom import dcmread
from sqlalchemy.orm import Session

from inference.comparison.layers import Layers
from inference.film import NotAFilm, read_greys
from inference.grayscale import Greys
from scp.dashboard.access import viewed
from scp.dashboard.page import NotHere
from scp.dashboard.site import Site
from scp.index.pictures import FilmFile, film_file, pair_row

KEPT = "private, no-cache"  # asked for again each time, sent again only when it is another
MEDIA_TYPE = "application/vnd.hilum.film"
_HEADER = struct.Struct("<4I")


class Decoded:
    """The films looked at last, as sent, up to ``limit_bytes``. Safe from many threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returns, asking it once for all who want it meanwhile."""
        with self._lock:
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            try:
                data = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            self._keep(key, data)
            return data

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            self._kept[key] = data
            while sum(map(len, self._kept.values())) > self._limit:
                self._kept.popitem(last=False)


def pack(greys: Greys) -> bytes:
    """Return a film as `static/viewer.js` reads it, little endian.

    Rows, columns, number of greys and bytes of a value, 32 bits each; the greys, 8 bits each; the
    values, 8 or 16 bits each, row by row.
    """
    rows, columns = greys.values.shape
    width = greys.values.dtype.itemsize
    header = _HEADER.pack(rows, columns, greys.shown.size, width)
    values = np.ascontiguousarray(greys.values, greys.values.dtype.newbyteorder("<"))
    return b"".join((header, greys.shown.tobytes(), values.tobytes()))


def router(site: Site) -> APIRouter:
    """Return the addresses of films' values."""
    routes = APIRouter(include_in_schema=False)
    decoded = Decoded(1_000_000 * site.settings.cache_mb)

    @routes.get("/films/{uid}/pixels")
    def pixels(request: Request, uid: str) -> Response:
        file = find(site, uid)
        viewed(site, request, uid)
        return _answer(
            request, file.sha256, lambda: decoded.get(file.sha256, lambda: pack(read(site, file)))
        )

    @routes.get("/films/{uid}/compare/{prior_uid}/pixels")
    def aligned(request: Request, uid: str, prior_uid: str) -> Response:
        """Return the prior laid onto the film."""
        current, prior = find(site, uid), find(site, prior_uid)
        viewed(site, request, prior_uid)
        with Session(site.engine) as session:
            pair = pair_row(session, uid, prior_uid)
        if pair is None or pair.layers is None:
            raise NotHere("These films were not laid onto each other.")
        layers = pair.layers
        key = f"{current.sha256}-{prior.sha256}"
        return _answer(
            request,
            key,
            lambda: decoded.get(
                key, lambda: pack(laid(read(site, prior), layers, read(site, current)))
            ),
        )

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
        raise lost() from error
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
        raise NotHere("No film of this SOP Instance UID was received. All films: the first page.")
    return file


def lost() -> NotHere:
    """Return what is to be said when the index knows more than the disk."""
    return NotHere(
        "The index knows this film, but its file is gone from data_dir. See that the disk is"
        " mounted, or restore it from a backup."
    )


def _answer(request: Request, key: str, make: Callable[[], bytes]) -> Response:
    headers = {"ETag": f'"{key}"', "Cache-Control": KEPT}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=MEDIA_TYPE, headers=headers)
