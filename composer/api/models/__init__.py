"""The bodies of requests, as pydantic models: what is unknown is ignored, as Docker does."""
