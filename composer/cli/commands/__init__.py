"""One module per verb; ``composer.cli.main`` has the table of them."""
