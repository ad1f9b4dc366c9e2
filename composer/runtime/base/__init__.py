"""The ground floor of the runtime: standard library only, cheap to import, no knowledge of what stands on it."""
