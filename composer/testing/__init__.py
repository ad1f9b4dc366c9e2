"""For the tests of other people's projects: the pytest plugin, and what takes the place of other tools.

plugin      the marker, the fixtures and the options of pytest
keeping     stacks by what they were asked for: made once, taken down in the end
leases      a stack that several processes use goes with the last of them
reaping     a process that takes stacks down when their program was killed
docker_services, docker_compose     the fixtures of pytest-docker, and the class of testcontainers
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.testing.docker_compose import DockerCompose as DockerCompose

__all__ = ["DockerCompose"]


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name == "DockerCompose":
        from composer.testing.docker_compose import DockerCompose

        return DockerCompose
    raise AttributeError(f"module 'composer.testing' has no attribute '{name}'")
