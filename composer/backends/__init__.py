"""Name → module of each backend. A backend module has ``connect(environment) -> Backend``.

Modules are named, not imported: a command pays only for the backend that it uses.
"""

MODULES = {
    "memory": "composer.backends.memory",
    "namespace": "composer.backends.namespace",
    "docker": "composer.backends.docker",
}
