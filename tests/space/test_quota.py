"""Uploads are counted for each visitor before they reach Gradio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from space.quota import UploadQuota


async def application(scope, receive, send) -> None:
    """Take the whole body and say how long it was, as Gradio's upload does; end where the visitor has
    gone.
    """
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(
    quota: UploadQuota, visitor: str, pieces: Sequence[int], path: str = "/gradio_api/upload"
) -> int | None:
    """The status of a request with a body in pieces; `None` where the connection was ended."""
    waiting = [
        {"type": "http.request", "body": b"\0" * size, "more_body": i + 1 < len(pieces)}
        for i, size in enumerate(pieces)
    ]
    sent: list[dict] = []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "client": (visitor, 1), "method": "POST", "headers": []}
    # In a thread of its own: the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, quota(scope, receive, send)).result(10)
    return sent[0]["status"] if sent else None


def test_each_visitor_may_send_so_much():
    quota = UploadQuota(application, most=1000)
    assert ask(quota, "a", [400]) == 200
    assert ask(quota, "a", [100, 100]) == 200
    assert ask(quota, "a", [10**6], path="/gradio_api/queue/join") == 200
    assert ask(quota, "a", [300] * 100) is None
    assert ask(quota, "a", [1]) == 429
    assert ask(quota, "b", [400]) == 200


def test_the_count_begins_anew(monkeypatch):
    quota = UploadQuota(application, most=1000, seconds=10)
    now = 100.0
    monkeypatch.setattr("space.quota.time.monotonic", lambda: now)
    assert ask(quota, "a", [2000]) is None
    assert ask(quota, "a", [1]) == 429
    now = 111.0
    assert ask(quota, "a", [1]) == 200
