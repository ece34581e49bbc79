"""What each request cost: the entry, its price, the append-only store and the reports."""
