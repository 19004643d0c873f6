"""`python -m musicgpt.cli` does what `musicgpt` does."""

import sys

from .main import main

sys.exit(main())
