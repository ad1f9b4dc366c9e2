"""Compose files from elsewhere: git repositories and artifacts of registries.

    switches    which of the two are allowed
    cache       directories that are there whole or not at all, one for each commit or digest
    git         one commit of a repository, by the git program
    artifacts   how Compose puts a project into a registry: media types, annotations, names of files
    oci         an artifact, by the registry client
    fetching    which of the two a reference means; what a command has fetched already

Imported when a project names such a file, and not before.
"""
