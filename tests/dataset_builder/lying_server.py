"""A server on this machine with every fault that a network has, and with every lie that a server can tell."""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, count, repeat
from urllib.parse import unquote

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HOLD = None  # among the pieces of an answer: nothing more comes, and the connection stays
NUMBERS = count()
GAP = 0.02  # seconds between the pieces of a slow answer
LONGEST = 20.0  # seconds after which the server itself gives up, so that a client without a deadline fails


def slowly(data: bytes) -> Iterator[bytes]:
    """One byte at a time."""
    for i in range(len(data)):
        time.sleep(GAP)
        yield data[i : i + 1]


def length(value: object) -> bytes:
    """The end of the headers with this length."""
    return f"Content-Length: {value}\r\n\r\n".encode()


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


# What a server sends in place of an answer with the file `b`, piece by piece.
LIES: dict[str, Callable[[bytes], Iterator[bytes | None] | list[bytes | None]]] = {
    "closes at once": lambda b: [],
    "is silent": lambda b: [HOLD],
    "sends headers byte by byte without an end": lambda b: slowly(OK + b"X-Long: " + b"a" * 10**6),
    "sends headers without an end": lambda b: (OK if i == 0 else b"X-%d: a\r\n" % i for i in range(10**6)),
    "sends a header of a megabyte": lambda b: [
        OK + b"X-Long: " + b"a" * 2**20 + b"\r\n" + length(len(b)) + b
    ],
    "sends the file byte by byte": lambda b: chain([OK + length(len(b))], slowly(b)),
    "sends chunks of one byte": lambda b: chain([CHUNKED], slowly(b"".join(b"1\r\n%c\r\n" % c for c in b))),
    "states a length that is no number": lambda b: [OK + length("abc") + b],
    "states a negative length": lambda b: [OK + length(-5) + b],
    "states two lengths": lambda b: [OK + b"Content-Length: 5\r\n" + length(len(b)) + b],
    "states a length beyond all bounds": lambda b: [OK + length(10**30) + b],
    "states more than it has and stays": lambda b: [OK + length(len(b) + 9) + b, HOLD],
    "states less than it sends": lambda b: [OK + length(len(b) - 9) + b],
    "sends a negative chunk": lambda b: [CHUNKED + b"-5\r\n" + b + b"\r\n0\r\n\r\n"],
    "sends a chunk of no size": lambda b: [CHUNKED + b"zz\r\n" + b + b"\r\n0\r\n\r\n"],
    "sends a chunk beyond all bounds": lambda b: [CHUNKED + b"f" * 40 + b"\r\n" + b],
    "sends less than its chunk": lambda b: [CHUNKED + b"%x\r\n" % (len(b) + 9) + b],
    "sends a line of chunk without an end": lambda b: [CHUNKED + b"5;" + b"a" * 2**20],
    "leaves out the last chunk": lambda b: [CHUNKED + b"%x\r\n" % len(b) + b[:-9]],
    "sends no end": lambda b: [OK + b"\r\n", *repeat(b, 2**24 // len(b) + 1)],
    "sends chunks without an end": lambda b: [
        CHUNKED,
        *repeat(b"%x\r\n" % len(b) + b + b"\r\n", 2**24 // len(b) + 1),
    ],
    "redirects to itself": lambda b: [redirect("")],
    "redirects on and on": lambda b: [redirect(f"?{next(NUMBERS)}")],
    "redirects to a file": lambda b: [redirect("file:///etc/passwd")],
    "redirects to another protocol": lambda b: [redirect("ftp://127.0.0.1:1/score")],
    "redirects to no address": lambda b: [redirect("http://[::bad/%zz\x7f")],
    "redirects without an address": lambda b: [b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"],
    "redirects to a closed port": lambda b: [redirect("http://127.0.0.1:1/score")],
    "says 100 without an end": lambda b: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 10**6),
    "changes the protocol": lambda b: [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + b
    ],
    "speaks no HTTP": lambda b: [b"HELLO, this is a letter.\r\n\r\n"],
    "speaks HTTP 0.9": lambda b: [b],
    "has a status of four digits": lambda b: [b"HTTP/1.1 2000 OK\r\n" + length(len(b)) + b],
    "has no status": lambda b: [b"HTTP/1.1 \x1b[2J\r\n" + length(len(b)) + b],
    "has zeros in a header": lambda b: [OK + b"X-\0: \0\r\n" + length(len(b)) + b],
    "packs the file": lambda b: [
        OK + b"Content-Encoding: gzip\r\n" + length(len(gzip.compress(b))) + gzip.compress(b)
    ],
    "sends a bomb": lambda b: [
        OK
        + b"Content-Encoding: gzip\r\n"
        + length(len(gzip.compress(b"\0" * 2**24)))
        + gzip.compress(b"\0" * 2**24)
    ],
    "packs its way": lambda b: [OK + b"Transfer-Encoding: gzip\r\n\r\n" + gzip.compress(b)],
    "sends a part unasked": lambda b: [
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 9-%d/%d\r\n" % (len(b) - 1, len(b))
        + length(len(b) - 9)
        + b[9:]
    ],
    "sends a part without its range": lambda b: [b"HTTP/1.1 206 Partial\r\n" + length(len(b) - 9) + b[9:]],
    "has nothing": lambda b: [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "says that nothing has changed": lambda b: [b"HTTP/1.1 304 Not Modified\r\n\r\n"],
}


class LyingServer(ThreadingHTTPServer):
    """Serves `files`; `faults[path]` is a list of what goes wrong with the next requests for it, one each.

    A fault is a status such as `"503"`, a name in `LIES`, or one of `dropped`, `reset`, `changed`, `cut`,
    `416` and `another part` (the last two where a part is asked for).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: LyingServer

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        path, span = unquote(self.path.partition("?")[0]), self.headers.get("Range")
        self.server.requests.append((path, span))
        waiting = self.server.faults.get(path, [])
        fault = waiting.pop(0) if waiting else ""
        data = self.server.files.get(path)
        if fault.isdigit() or data is None:
            self.send_error(int(fault or 404))
        elif fault in LIES:
            self._lie(LIES[fault](data))
        else:
            self._serve(data, span, fault)

    def _lie(self, pieces: Iterator[bytes | None] | list[bytes | None]) -> None:
        end = time.monotonic() + LONGEST
        self.close_connection = True
        try:
            for piece in pieces:
                if piece is HOLD:
                    self.connection.settimeout(LONGEST)
                    self.connection.recv(1)  # until the client goes
                else:
                    self.connection.sendall(piece)
                if time.monotonic() > end:
                    return
        except OSError:
            pass

    def _serve(self, data: bytes, span: str | None, fault: str) -> None:
        if fault == "changed":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault == "cut":  # whole for all that the headers say
            data = data[: len(data) // 2]
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            begin = start - 1 if fault == "another part" else start
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if fault in ("dropped", "reset"):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
