"""Scripts that run, load and measure the gateway from outside. Nothing in the product imports them."""
