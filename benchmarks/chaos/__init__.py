"""Outages on purpose: a scripted provider, a load that checks every answer, and what came of it. `make chaos`."""
