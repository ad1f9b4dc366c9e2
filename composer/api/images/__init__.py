"""Images: seen, changed, moved and built."""
