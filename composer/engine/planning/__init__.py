"""From a project and what exists to a plan. Pure: no I/O, no clock, no environment."""
