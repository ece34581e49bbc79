"""python -m classifiers.shipped: train the shipped classifier."""

import sys

from classifiers.shipped.command import main

sys.exit(main())
