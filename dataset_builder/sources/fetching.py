"""One file over HTTP from a server that may be slow, broken or lying: whole and checked, or not at all,
within a deadline.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DownloadError

ATTEMPTS = 4
DEADLINE = 120.0  # seconds for one file, with all attempts and pauses
ATTEMPT_SECONDS = 40.0  # for one attempt: a connection that creeps is given up and taken up anew where it was
SILENCE_SECONDS = 15.0  # without a byte
FIRST_PAUSE = 0.5  # seconds before the second attempt; doubled before each further one
MAX_BYTES = 8 * 2**20
MAX_REDIRECTS = 5
# Answers that a second attempt may better, 416 since it then begins anew; other errors of the client's kind
# are final.
_PASSING = (408, 416, 425, 429)


@dataclass
class _Failure(Exception):
    """Why an attempt failed; `final` where another one cannot do better, `anew` where what came must not be
    kept.
    """

    reason: str
    final: bool = False
    anew: bool = False


def fetch(url: str, sha256: str, target: Path, name: str, deadline: float = DEADLINE) -> Path:
    """The file with this sum at `target`: the one that is there, else fetched and checked.

    A connection that breaks is taken up again where it broke, if the server can do that. The file appears
    under its name only when it is whole and its sum is right; after a failure nothing of it stays.

    Args:
        url (`str`): where it is; redirects are followed, `MAX_REDIRECTS` of them.
        sha256 (`str`): the sum in hexadecimal digits.
        target (`Path`): where it is kept, in a folder that exists.
        name (`str`): what it is called in messages.
        deadline (`float`): seconds after which it is given up, whatever the server does; 0: it is not asked
            for.

    Raises:
        DownloadError: naming the file, what went wrong and after how many attempts.
    """
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256:
        return target
    if deadline <= 0:
        raise DownloadError(
            f"{name} was not asked for, since the time for all files was over; build again to go on."
        )
    _certificates()  # not on the file's time
    with _part_file(target.parent) as part:
        asyncio.run(_fetch(url, sha256, part, name, deadline))
        os.replace(part, target)
    return target


@contextmanager
def _part_file(folder: Path) -> Iterator[Path]:
    """An empty file in the folder that is gone at the end unless it was moved away."""
    handle, name = tempfile.mkstemp(suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@functools.cache
def _certificates() -> Any:
    import httpx2

    return httpx2.create_ssl_context()  # slow to make


async def _fetch(url: str, sha256: str, part: Path, name: str, deadline: float) -> None:
    """Attempts until the part file is whole."""
    import httpx2

    end = time.monotonic() + deadline
    asked: set[tuple[str, str]] = set()  # in this attempt; a server may want a cookie back before it answers

    async def refuse_circle(request: Any) -> None:
        question = str(request.url), request.headers.get("Cookie", "")
        if question in asked:
            raise _Failure("the server redirects in a circle", final=True)
        asked.add(question)

    async with httpx2.AsyncClient(
        timeout=SILENCE_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        # A connection that is kept may be closed just when the next request, after a redirect, is sent on it.
        limits=httpx2.Limits(max_keepalive_connections=0),
        verify=_certificates(),
        event_hooks={"request": [refuse_circle]},
    ) as client:
        for number in range(1, ATTEMPTS + 1):
            asked.clear()
            try:
                await _attempt(client, url, part, end)
                _check_sum(sha256, part)
                return
            except _Failure as failure:
                if failure.anew:
                    part.write_bytes(b"")
                pause = FIRST_PAUSE * 2 ** (number - 1)
                late = time.monotonic() + pause >= end
                if failure.final or late or number == ATTEMPTS:
                    tries = f"after {number} attempt{'s' if number > 1 else ''}"
                    tries += f" in {deadline:.0f} seconds" if late else ""
                    raise DownloadError(
                        f"{name} could not be fetched from {url} {tries}: {failure.reason}."
                    ) from failure
                await asyncio.sleep(pause)


async def _attempt(client: Any, url: str, part: Path, end: float) -> None:
    """One request within its time; whatever goes wrong is a `_Failure`."""
    import httpx2

    seconds = min(ATTEMPT_SECONDS, max(0.0, end - time.monotonic()))
    try:
        async with asyncio.timeout(seconds):
            await _continue(client, url, part)
    except _Failure:
        raise
    except (TimeoutError, httpx2.TimeoutException) as error:
        what = "nothing came" if isinstance(error, httpx2.TimeoutException) else "it was not whole"
        wait = SILENCE_SECONDS if isinstance(error, httpx2.TimeoutException) else seconds
        raise _Failure(f"{what} within {wait:.1f} seconds") from error
    except httpx2.TooManyRedirects as error:
        raise _Failure(f"the server redirects more than {MAX_REDIRECTS} times", final=True) from error
    except OSError as error:  # the network's are httpx2's own
        raise _Failure(f"it cannot be written ({error.strerror or error})", final=True) from error
    except Exception as error:  # httpx2's, and whatever else an answer that breaks all rules leads to
        raise _Failure(f"the connection failed ({_printable(error)})") from error


async def _continue(client: Any, url: str, part: Path) -> None:
    """Fetch what is missing of a file and append it; from the beginning where the server does not do
    ranges.
    """
    have = part.stat().st_size
    # Bytes as they lie there: what is packed on its way could unpack without a bound.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    async with client.stream("GET", url, headers=headers) as answer:
        status = answer.status_code
        if status not in (200, 206):
            final = 300 <= status < 500 and status not in _PASSING
            raise _Failure(f"the server answered {status}", final=final, anew=status == 416)
        span = answer.headers.get("Content-Range", "")
        if status == 206 and not (have and span.startswith(f"bytes {have}-")):
            raise _Failure(
                f"the server sent another part than the one asked for ({_printable(span)})", anew=True
            )
        received = have if status == 206 else 0
        with part.open("ab" if status == 206 else "wb") as file:
            async for chunk in answer.aiter_raw():
                received += len(chunk)
                if received > MAX_BYTES:
                    raise _Failure(
                        f"it is larger than {MAX_BYTES // 2**20} MB, which no score is", final=True
                    )
                file.write(chunk)


def _check_sum(sha256: str, part: Path) -> None:
    """Refuse a file that was cut or changed on its way, or upstream."""
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != sha256:
        raise _Failure(
            f"its SHA-256 is {found[:12]}..., not {sha256[:12]}... as the manifest says", anew=True
        )


def _printable(what: object) -> str:
    """The beginning of what a server caused, fit for a message in a terminal."""
    text = " ".join(str(what).split()) or type(what).__name__
    return "".join(c if c.isprintable() else "?" for c in text[:100])
