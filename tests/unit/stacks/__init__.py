"""What a program's stacks are made of."""
