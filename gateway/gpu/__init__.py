"""Self-hosted models: what the machine was paid and what of it was used, settled by the hour."""
