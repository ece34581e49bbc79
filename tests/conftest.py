"""How property tests choose their examples, and how many threads numerics take."""

import os

# Before numpy is loaded: on shared cores a second thread waits for the first, and fits take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# The same examples at every run, so that a change is blamed for what it broke and for nothing else.
# HYPOTHESIS_PROFILE=explore draws new ones: for looking for what the fixed examples miss.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
