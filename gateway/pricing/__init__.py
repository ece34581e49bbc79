"""What things cost: the price map, what a policy says, and the one function that makes money of usage."""
