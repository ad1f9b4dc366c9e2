"""What the programs of others are given to run: with their own Python, which has no composer."""
