"""What things cost: programs for developers, which the documentation's figures come from."""
