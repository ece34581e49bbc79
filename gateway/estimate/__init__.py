"""What a workload would cost and what a model would need, worked out on paper: no traffic, no server, no GPU."""
