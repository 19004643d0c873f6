"""How much one visitor may send: Gradio writes uploads to the disk before anything of ours sees them."""

from __future__ import annotations

import threading
import time
from typing import Any

from .words import language_of, translated

# Thirty files of the largest size an hour.
UPLOAD_BYTES = 60 * 2**20
UPLOAD_SECONDS = 3600.0
_MOST_VISITORS = 10_000  # remembered at a time


class UploadQuota:
    """ASGI middleware that refuses uploads of a visitor who has sent `most` bytes within `seconds`, with
    status 429.

    Args:
        app: the application behind it.
        most (`int`), seconds (`float`): the quota.
    """

    def __init__(self, app: Any, most: int = UPLOAD_BYTES, seconds: float = UPLOAD_SECONDS):
        self.app, self.most, self.seconds = app, most, seconds
        self._sent: dict[str, tuple[float, int]] = {}  # visitor -> when the count began, bytes
        self._lock = threading.Lock()

    def add(self, visitor: str, size: int) -> bool:
        """Count bytes of a visitor; whether there is room for more."""
        now = time.monotonic()
        with self._lock:
            begun, sent = self._sent.get(visitor, (now, 0))
            if now - begun > self.seconds:
                begun, sent = now, 0
            self._sent[visitor] = (begun, sent + size)
            if len(self._sent) > _MOST_VISITORS:
                self._sent = {
                    who: entry for who, entry in self._sent.items() if now - entry[0] <= self.seconds
                }
            return sent + size < self.most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/upload"):
            await self.app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        visitor = scope["client"][0] if scope.get("client") else ""
        if not self.add(visitor, 0):
            text = (
                f"You have sent {self.most / 2**20:.0f} MB within the last hour; please wait before you send"
                " more."
            )
            headers = dict(scope.get("headers") or ())
            language = language_of(headers.get(b"accept-language", b"").decode("latin-1"))
            await JSONResponse({"detail": translated(text, language)}, 429)(scope, receive, send)
            return

        async def counted() -> Any:
            message = await receive()
            # One request can hold many files: beyond the quota it ends as if the visitor had gone.
            room = self.add(visitor, len(message.get("body", b"")))
            return message if room else {"type": "http.disconnect"}

        await self.app(scope, counted, send)
