"""What the catalogues say wrongly, put right by the id of the piece, each with its reason."""

from __future__ import annotations

# Keys: tonic and mode.
KEYS: dict[str, tuple[str, str]] = {
    # A tune in E Phrygian that closes on the major triad of E; its signature alone says C major. Read as minor, like its sisters
    # BWV 611, 614, 617, 620, 621 and 674, which their catalogue gives as A minor.
    "mut_bwv672": ("A", "minor"),
}
