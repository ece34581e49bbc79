"""Answers that need no LLM, one handler a file."""
