"""How good a classifier is, and where to set its threshold."""
