"""Result objects, as pictures and as DICOM files."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from scp.archive import valid_uid
from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.images.png import MAX_WIDTH, MIN_WIDTH, NoPicture, is_picture, png_of
from scp.dashboard.rendering import NotHere, file_gone
from scp.errors import Unreadable
from scp.index.values import ResultFile
from scp.index.worklist.film_rows import result_file

# a result's UID is made of all that went into it; private: shared caches keep no patient's picture
_KEPT = "private, max-age=31536000, immutable"
# where people log in, a browser asks each time whether this one may see it
_ASKED = "private, no-cache"
_THUMBNAIL = 256  # pixels; the worklist is full of them, and they tell little


def router(context: AppContext) -> APIRouter:
    """Return the addresses of results. No part of an address ever becomes part of a path."""
    routes = APIRouter(include_in_schema=False)
    cache_control = _ASKED if context.settings.asks_for_login else _KEPT

    @routes.get("/results/{uid}.png")
    def picture(
        request: Request,
        uid: str,
        width: Annotated[int | None, Query(ge=MIN_WIDTH, le=MAX_WIDTH)] = None,
    ) -> Response:
        result = _find(context.engine, uid)
        if not is_picture(result.sop_class_uid):
            raise NotHere(f"A {result.kind} has no picture. Its DICOM file:  /results/{uid}.dcm")
        headers = {"ETag": f'"{result.sha256}-{width or "full"}"', "Cache-Control": cache_control}
        if width is None or width > _THUMBNAIL:
            viewed(context, request, result.film_uid, result=uid)
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        try:
            data = _png(context, result, width)
        except FileNotFoundError as error:
            raise file_gone(f"result {uid}") from error
        except NoPicture as error:
            raise NotHere(f"Result {uid} cannot be shown: {error}.") from error
        return Response(data, media_type="image/png", headers=headers)

    @routes.get("/results/{uid}.dcm")
    def file(request: Request, uid: str) -> Response:
        result = _find(context.engine, uid)
        path = context.archive.path(result.path)
        if not path.is_file():
            raise file_gone(f"result {uid}")
        viewed(context, request, result.film_uid, "downloaded", result=uid)
        # its header names the patient: no browser keeps it
        return FileResponse(path, media_type="application/dicom", filename=f"{result.uid}.dcm")

    return routes


def _png(context: AppContext, result: ResultFile, width: int | None) -> bytes:
    """Return a picture; small ones are made once, for a page is full of them."""
    path = context.archive.path(result.path)
    if width is None or width > _THUMBNAIL:
        return png_of(path, width)
    return context.image_cache.get(f"{result.sha256}-{width}", lambda: png_of(path, width))


def _find(engine: sa.Engine, uid: str) -> ResultFile:
    """Look a result up; the path comes from the index alone."""
    try:
        valid_uid(uid, "The result's UID in the address")
    except Unreadable as error:
        raise NotHere(f"{error}.") from error
    with Session(engine) as session:
        result = result_file(session, uid)
    if result is None:
        raise NotHere(f"hilum made no result {uid}. The films are on the first page.")
    return result
