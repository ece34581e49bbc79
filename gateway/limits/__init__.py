"""Rates: how many requests and tokens a key, a team or a model may have in a window of time."""
