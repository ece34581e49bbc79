"""What gateways cost, measured beside each other in one run. Run it: `make bench`, or `python -m benchmarks.gateways --help`."""
