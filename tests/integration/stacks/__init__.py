"""The Python API and the pytest plugin, on a kernel."""
