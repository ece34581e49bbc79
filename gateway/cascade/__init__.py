"""Cascades: ask a small model first, judge its answer, climb when it does not convince."""
