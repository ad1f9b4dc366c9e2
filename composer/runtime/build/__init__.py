"""Building images: a Dockerfile and a context become an image in the store, with no daemon."""
