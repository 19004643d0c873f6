"""What the browser fetches besides the page, all from here: the modules of `static/` and the soundfont."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

STATIC = Path(__file__).parent / "static"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def folder() -> str:
    """The path under which they are served, without slashes; it changes with their contents, so that a
    browser never mixes two versions and need not ask twice.
    """
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return f"parts-{digest.hexdigest()[:12]}"


def asset_routes() -> list[BaseRoute]:
    """The routes for Starlette."""
    from starlette.responses import Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    class Kept(StaticFiles):
        """Files that never change under their address."""

        def file_response(self, *arguments, **named) -> Response:  # type: ignore[no-untyped-def]
            response = super().file_response(*arguments, **named)
            response.headers.update(FOREVER)
            return response

    def font(request: Request) -> Response:
        from .font import browser_font

        headers = {**FOREVER, "Content-Encoding": "gzip"}
        return Response(browser_font(), media_type="audio/x-soundfont", headers=headers)

    return [Route(f"/{folder()}/instruments.sf2", font), Mount(f"/{folder()}", Kept(directory=STATIC))]
