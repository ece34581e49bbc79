"""Answers given before: keys, verification and the stores behind one port."""
