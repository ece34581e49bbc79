"""Budgets: how much money a key, a team, a tag, a route or the whole gateway may spend in a time, held while it is spent."""
