"""python -m classifiers.pairs: train the shipped verifiers."""

import sys

from classifiers.pairs.command import main

sys.exit(main())
