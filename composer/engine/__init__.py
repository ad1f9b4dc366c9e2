"""Project × Observed → Plan → effects. Knows backends only as the protocol in ``backend.py``."""
