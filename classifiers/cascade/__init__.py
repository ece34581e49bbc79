"""How likely an answer is right, from its log-probabilities."""
