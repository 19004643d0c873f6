"""In what a piece is unlike Bach, in words: what it means that a metric lies below or above his band."""

from __future__ import annotations

# Name of a metric: what is said of a piece that lies below Bach, and above.
WORDS = {
    "rhythm_nll": ("rhythm too even", "rhythm that surprises without end"),
    "voice_crossing": ("no voices that cross", "many voices that cross"),
    "voice_overlap": ("no voices that overlap", "many voices that overlap"),
    "strong_dissonance": ("few dissonances on strong beats", "many dissonances on strong beats"),
    "dissonance_treated": (
        "dissonances without preparation and resolution",
        "every dissonance treated by the book",
    ),
    "struck_dissonance": ("few dissonances struck", "many dissonances struck"),
    "struck_semitones": ("no sharp dissonances", "many minor seconds and major sevenths struck"),
    "chord_fit": ("harmonies that no chord explains", "nothing but chords"),
    "foreign_notes": ("no note foreign to its scale", "many notes foreign to the scale around them"),
    "opening_in_key": ("an opening outside of the key", "an opening in the key"),
    "opening_degree": ("a first note that is neither tonic nor fifth", "a first note that is tonic or fifth"),
    "inner_cadences": ("few cadences inside", "many cadences inside"),
    "final_triad": ("no tonic triad at the end", "the tonic triad at the end"),
    "pitch_nll": ("steps that are all too usual", "steps that Bach does not write"),
    "repeated_bars": ("no bar repeated", "many bars repeated"),
    "longest_loop": ("no loop", "a long loop"),
    "self_similarity_1": ("bars unlike the one before", "bars very like the one before"),
    "self_similarity_2": ("bars unlike those two bars before", "bars very like those two bars before"),
    "self_similarity_4": ("bars unlike those four bars before", "bars very like those four bars before"),
    "self_similarity_8": ("bars unlike those eight bars before", "bars very like those eight bars before"),
    "recurring_patterns": ("few ideas that come back", "many ideas that come back"),
    "bars_in_sequence": ("few sequences", "many sequences"),
    "figure_kept": ("figures soon given up", "one figure throughout"),
    "static_bars": ("no bar that stands still", "bars in which nothing moves"),
    "entry_density": ("few statements of the subject", "many statements of the subject"),
    "stretti": ("no stretto", "many stretti"),
    "tonal_answer": ("a real answer", "a tonal answer"),
    "countersubject_returns": (
        "a countersubject that does not return",
        "a countersubject that always returns",
    ),
    "wide_hands": ("hands that never stretch", "chords too wide for a hand"),
    "wide_hands_held": ("hands that never stretch", "held notes too far apart for a hand"),
    "beyond_keyboard": ("notes on the keyboard", "notes beyond Bach's keyboard"),
    "widest_voice": ("voices of narrow range", "a voice of very wide range"),
}

__all__ = ["WORDS"]
