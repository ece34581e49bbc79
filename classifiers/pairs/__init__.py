"""Are two texts the same question? Rules, features and a learned verifier; pure functions of the two texts."""
