"""Builds on Docker Engine: by buildx, by the engine's own builder, and the checks of Dockerfiles."""
