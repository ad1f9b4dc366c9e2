"""One module per way of showing progress: tty, plain, json, quiet."""
