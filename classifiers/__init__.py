"""Text in, calibrated probabilities out. Knows nothing of the gateway."""
