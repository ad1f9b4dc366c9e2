"""From a configuration to a confined process: what happens in a container before its program. Carried by the keeper."""
