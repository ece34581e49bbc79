"""HTTP in and out. Knows dialects and status codes; decides nothing."""
