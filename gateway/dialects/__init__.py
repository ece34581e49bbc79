"""What callers speak: each dialect's requests into the canonical form, and answers out of it. No I/O."""
