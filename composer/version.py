"""The version of this package, which the release process sets."""

__version__ = "0.1.0"
