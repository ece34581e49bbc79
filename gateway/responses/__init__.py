"""Finished Responses, kept so that callers can go on from them: the port and its backends."""
