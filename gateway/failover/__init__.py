"""What the executor does about trouble beyond retry and fallback: hedges, the latency guard, streams that break off."""
