"""The build cache: steps by what they were made from, their files as layers, and what is removed when."""
