"""Turnout: an LLM gateway that decides, fails over and accounts for every request."""

__version__ = "0.1.0"
