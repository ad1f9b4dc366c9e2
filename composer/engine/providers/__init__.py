"""Services that an external program provides (``provider`` in a compose file): the protocol, and how it is run.

Spec: https://github.com/docker/compose/blob/main/docs/extension.md
"""
