"""A project on its way into a registry, as an artifact that docker compose and composer read.

sensitive   what looks like a password, a key or a token
nodes       the YAML of a compose file with the places of its parts
gathering   the files that are published: what they name is renamed, and what people should know is found
questions   what has to be agreed to before anything is sent
upload      the artifact into the registry
copying     images of the project into the same repository
"""
