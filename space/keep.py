"""The visitor's last pieces as plain data: the browser keeps them over a reload, nobody else."""

from __future__ import annotations

from typing import Any

from tokenization import MusicGPTError, Score

from .audio import LONGEST, lasts
from .rendering import MAX_UPLOAD_NOTES
from .session import Candidate, Session, Take

# How many pieces are kept: five of the longest take a megabyte of the five that a browser gives.
KEPT = 5
STORAGE = "musicgpt-pieces"
_PLAIN = {"stem": str, "num_prompt_notes": int, "seed": int, "seconds": float, "ended": str}


def as_kept(candidate: Candidate) -> dict[str, Any]:
    """A piece as plain data; `from_kept` reads it back."""
    locked = [list(note) for note in sorted(candidate.locked)]
    plain = {name: getattr(candidate, name) for name in _PLAIN}
    return plain | {"score": candidate.score.to_dict(), "link": candidate.link, "locked": locked}


def from_kept(data: Any) -> Candidate:
    """What `as_kept` wrote, if it is: a browser can send anything.

    Raises:
        MusicGPTError: if it is something else, or a piece that is longer than an upload may be.
    """
    try:
        score = Score.from_dict(data["score"])
        plain = {name: kind(data[name]) for name, kind in _PLAIN.items()}
        link = None if data.get("link") is None else str(data["link"])[:400]
        locked = frozenset(tuple(map(int, note)) for note in data.get("locked", ()) if len(note) == 4)
    except MusicGPTError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MusicGPTError(f"A kept piece cannot be read ({type(error).__name__}).") from error
    if not 0 < len(score) <= MAX_UPLOAD_NOTES or lasts(score) > LONGEST:
        raise MusicGPTError(f"A kept piece has {len(score)} notes; it must have 1 to {MAX_UPLOAD_NOTES}.")
    safe = "".join(c for c in plain.pop("stem")[:120] if c.isalnum() or c in "-_") or "piece"
    return Candidate(score, safe, **plain, link=link, locked=locked)  # type: ignore[arg-type]


def kept_takes(session: Session) -> list[dict[str, Any]]:
    """The last pieces that the visitor made, oldest first."""
    return [as_kept(take.candidate) for take in session.takes if not take.shipped][-KEPT:]


def restored(kept: Any) -> list[Take]:
    """The pieces that a browser has kept; what cannot be read is left out."""
    takes = []
    for data in kept[-KEPT:] if isinstance(kept, list) else ():
        try:
            takes.append(Take([from_kept(data)]))
        except MusicGPTError:
            continue
    return takes
