"""Commands that stay in the foreground until Ctrl-C: attached ``up``, and ``watch``."""
