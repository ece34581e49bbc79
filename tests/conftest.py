"""How property tests choose their examples, and what a run of all tests would otherwise pay for thousands of times."""

import gc
import os
from pathlib import Path

# Before numpy is loaded: on shared cores a second thread waits for the first, and fits take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# The same examples at every run, so that a change is blamed for what it broke and for nothing else.
# HYPOTHESIS_PROFILE=explore draws new ones: for looking for what the fixed examples miss.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# HTTP clients read whom they trust when they are made, though what they ask here is not encrypted: 40 ms for the hundred and more
# authorities of the system, none for the one of our own certificates.
os.environ.setdefault("SSL_CERT_FILE", str(Path(__file__).parent / "http1/certificates/authority.pem"))


def pytest_collection_finish() -> None:
    """Thousands of tests and their modules stay to the end. A full collection, which some tests ask for, need not look at them:
    half a second each."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Some libraries complain, as the interpreter ends, of what was never collected."""
    gc.unfreeze()
