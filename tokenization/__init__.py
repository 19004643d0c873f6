from .codec import decode, encode, first_error, prefix_ids
from .errors import MusicGPTError, ScoreError, ScoreReadError, TokenError
from .key import Key
from .score import Meter, Note, Score
