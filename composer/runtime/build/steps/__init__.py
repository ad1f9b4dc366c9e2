"""Building stages: each step is found in the cache, or carried out."""
