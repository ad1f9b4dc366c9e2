"""A database that moves between the backends while the move is killed again and again."""
