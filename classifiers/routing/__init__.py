"""Is the strong model worth it? Ranks prompts by what it would gain."""
