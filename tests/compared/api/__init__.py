"""The same requests to Docker Engine and to `composer serve`, and what of the answers differs."""
