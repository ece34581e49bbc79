"""What a request costs, in figures that are the same at every run: executed instructions, calls and memory, never time.

One process a scenario plays requests to the whole gateway, from the bytes that a client sends to the bytes that it gets, with
connections in memory, a clock that stands still and no chance. `python -m benchmarks.hot_path` prints what was counted;
tests/test_hot_path.py holds it against the files in `counts/`.
"""
