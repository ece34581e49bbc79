"""Who can answer: one adapter a wire format, behind the port in base.py."""
