"""What exists of a project, and of what it refers to."""
