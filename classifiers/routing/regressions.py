"""Three regressions on one text: a linear one on n-grams, a kernel one on shape, a forest. numpy only."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix
from classifiers.routing.forest import Forest
from classifiers.routing.kernel import Kernel
from classifiers.routing.lexical import Lexical
from classifiers.routing.views import HAND_NAMES, View

Singles = npt.NDArray[np.float32]

COUNT: Final = 3
# Of the features tried, those that told hard from easy in all of the sets that a model had not been trained on.
EFFORT_NAMES: Final = ("log_tokens", "log_sentences", "log_conditional", "log_negation")
EFFORT_COLUMNS: Final = np.array([HAND_NAMES.index(name) for name in EFFORT_NAMES])


@dataclass(frozen=True, slots=True)
class Regressions:
    """All fitted to the same k targets. directions: (d, p) of the embedding that the forest sees beside hand features."""

    lexical: Lexical
    kernel: Kernel
    forest: Forest
    directions: Matrix

    def predict(self, seen: View) -> tuple[Singles, float, float]:
        """(3k,) outputs for a text, its likeness to the nearest landmark, its effort.

        The outputs are the n-grams', the kernel's, the forest's. Effort: how much longer and more conditional the text
        is than the training rows, in deviations.
        """
        shape, meaning = self.kernel.standardised(seen.hand), self.kernel.centred(seen.embedding)
        near = self.kernel.likeness(shape)
        outputs = (
            self.lexical.predict(seen.ngrams),
            self.kernel.predict(near),
            self.forest.predict(np.concatenate((shape, meaning @ self.directions))),
        )
        return np.concatenate(outputs), self.kernel.nearest(near, meaning), float(shape[EFFORT_COLUMNS].mean())
