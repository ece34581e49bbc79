"""The pure core: a YAML file becomes an immutable Policy; facts go in, a decision comes out. No I/O, no clock, no randomness."""
