"""Text → Project: one module per pass over plain trees; ``load.py`` lists them in order."""
