"""This machine: what it can do for the runtime, its devices, and what was left behind on it."""
