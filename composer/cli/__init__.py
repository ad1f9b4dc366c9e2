"""The ``composer`` command: options, display, and nothing else."""
