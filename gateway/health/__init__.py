"""What is known of each model and provider just now. Outlives a reload of the policy; knows no HTTP."""
