"""The options of `musicgpt demo` and `python -m space.app`, and the start of the server."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
from importlib.util import find_spec
from typing import Any

# Nothing heavy is imported here: `--help` is to be quick, and the processes beside the server import their
# parent's main module.

LAST_PORT = 65_535
_M_ARENA_MAX = -8  # of glibc's malloc.h


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model",
        default=os.environ.get("MUSICGPT_MODEL") or None,
        help=(
            "a folder or a name on the Hub; default: the environment's MUSICGPT_MODEL, else the shipped model"
        ),
    )
    parser.add_argument("--device", help="such as cuda; default: the CPU (on ZeroGPU: cuda)")
    parser.add_argument(
        "--host", help="address to listen on; default: 127.0.0.1, or the environment's GRADIO_SERVER_NAME"
    )
    parser.add_argument("--port", type=_port, help="default: the first free one from 7860 on")
    parser.add_argument(
        "--mcp",
        action=argparse.BooleanOptionalAction,
        default=find_spec("mcp") is not None,
        help="also serve the endpoints as tools for MCP clients; default: if gradio[mcp] is installed",
    )
    parser.add_argument(
        "--corpus",
        metavar="FOLDER",
        default=os.environ.get("MUSICGPT_CORPUS") or None,
        help=(
            "a folder of scores (MIDI, MusicXML): of each piece the nearest passage there is shown and heard"
            " beside it; default: the environment's MUSICGPT_CORPUS, else none"
        ),
    )
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's servers")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port: give one from 1 to {LAST_PORT}")
    return int(text)


def build(given: argparse.Namespace) -> tuple[Any, Any]:
    """The page and what stands behind it, not yet serving.

    Args:
        given (`argparse.Namespace`): with what `add_arguments` declares.

    Returns:
        The page (`gradio.Blocks`) and the `Studio`.
    """
    _share_heaps()
    # Gradio would otherwise report its use and ask for newer versions.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    if os.environ.get("SPACE_ID"):
        # On the Hub every request comes through its proxy, which says whose it is; the quotas go by that
        # address.
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    zero_gpu = bool(os.environ.get("SPACES_ZERO_GPU"))
    if zero_gpu:
        import spaces  # noqa: F401  must come before torch

    from .studio import Studio
    from .welcome import Welcome

    studio = Studio(given.model, given.device or ("cuda" if zero_gpu else None), corpus=given.corpus)
    # Uploads lie where they are swept with everything else, also after a server that was killed.
    os.environ.setdefault("GRADIO_TEMP_DIR", str(studio.folders.uploads))
    welcome = Welcome(studio)
    # The other core prepares the ready piece while this process imports Gradio, which takes the longest.
    studio.workers.start()
    welcome.start()
    if zero_gpu:
        studio.load()  # ZeroGPU wants the model before the first request, in the main thread

    import gradio

    from .page import EXAMPLES, Page

    # What the studio makes and what is shipped is served from where it lies: Gradio would keep a second copy
    # of every file, among the uploads, which are swept.
    gradio.set_static_paths([studio.folders.root, EXAMPLES])
    return Page(studio, welcome).build(), studio


def _share_heaps() -> None:
    """Let all threads share two heaps. glibc gives each thread one of its own, and each of them grows to what
    a piece takes, so that memory went on growing over a thousand pieces; other systems have no `mallopt`.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def serve(page: Any, studio: Any, given: argparse.Namespace) -> None:
    """Serve what `build` returned until interrupted, then end the processes beside the server and remove all
    files.
    """
    from starlette.middleware import Middleware

    from .assets import asset_routes
    from .font import browser_font
    from .health import health_route
    from .page import launch_options
    from .quota import UploadQuota

    # A container ends its programs with SIGTERM: leave through the same door as Ctrl-C, so that files are
    # removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Waiting visitors have a turn of their own (turns.py), so Gradio's queue only bounds how many there are
    # at all.
    page.queue(max_size=200, default_concurrency_limit=None)
    try:
        page.launch(
            server_name=given.host,
            server_port=given.port,
            share=given.share,
            mcp_server=given.mcp,
            prevent_thread_lock=True,
            app_kwargs={
                "routes": [health_route(studio), *asset_routes()],
                "middleware": [Middleware(UploadQuota)],
            },
            **launch_options(studio),
        )
        # the model is loaded once the page can be opened; who presses the button sooner waits for it
        studio.start()
        studio.in_background(browser_font)  # packed before the first page asks for it
        page.block_thread()
    finally:
        page.close()
        studio.close()


def run(given: argparse.Namespace) -> int:
    """Serve until interrupted; returns the exit code."""
    page, studio = build(given)
    serve(page, studio, given)
    return 0
