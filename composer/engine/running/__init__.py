"""Carrying a plan out, and what goes on while containers run."""
