"""What the server says of itself: `GET /health`, for containers, load balancers and people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from .studio import Studio


def health(studio: Studio) -> dict[str, Any]:
    """The state of the server.

    Returns:
        `dict`: `status` (`"ready"`, `"loading"` or `"failed"`: whether the model is there), `processes`
        beside the server that live and `processes_replaced` until now, `waiting` (who composes or waits),
        `pieces` composed until now, `files_megabytes`, `memory_megabytes` of this process.
    """
    with open("/proc/self/statm") if os.path.exists("/proc/self/statm") else open(os.devnull) as file:
        pages = int((file.read() or "0 0").split()[1])
    return {
        "status": studio.state,
        "processes": studio.workers.alive,
        "processes_replaced": studio.workers.replaced,
        "waiting": len(studio.turns),
        "pieces": studio.pieces,
        "files_megabytes": round(studio.folders.bytes() / 2**20, 1),
        "memory_megabytes": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1) if pages else None,
    }


def health_route(studio: Studio) -> Route:
    """`/health`: the state as JSON, with status 200 when a piece can be composed and 503 when not (yet)."""
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def answer(request: Request) -> Response:
        state = health(studio)
        return JSONResponse(state, 200 if state["status"] == "ready" else 503)

    return Route("/health", answer)
