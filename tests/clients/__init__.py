"""Programs of others that run a compose command, run with ours: ``make clients`` installs them and runs this."""
