"""Platforms as images, FROM and the command line have them: ``linux/arm64/v8``, ``amd64``, ``windows``."""

from __future__ import annotations

from typing import NamedTuple

from composer.patterns import pattern

_COMPONENT = pattern(r"[A-Za-z0-9_.-]+(?:\([A-Za-z0-9_.+-]*\))?")
_SYSTEMS = frozenset(
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows "
    "zos".split()
)
_ARCHITECTURES = frozenset(
    "386 amd64 amd64p32 arm arm64 arm64be armbe loong64 mips mips64 mips64le mips64p32 mips64p32le mipsle "
    "ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm".split()
)
_OTHER_NAMES = {
    "i386": "386",
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "macos": "darwin",
}
_VARIANTS = {"armhf": "v7", "armel": "v6"}


class Platform(NamedTuple):
    """A platform in the words of OCI. ``variant`` and ``version`` (of the system) may be empty."""

    system: str
    architecture: str
    variant: str = ""
    version: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))


def parse_platform(text: str, default: Platform | None = None) -> Platform:
    """Return a platform; what is not said is as in ``default`` (linux/amd64). Raises ValueError with the reason."""
    base = default or Platform("linux", "amd64")
    parts = text.split("/")
    if not 1 <= len(parts) <= 3 or not all(map(_COMPONENT.fullmatch, parts)):
        raise ValueError("use SYSTEM/ARCHITECTURE, such as linux/arm64 or linux/arm/v7")
    system, _, version = parts[0].lower().partition("(")
    system = _OTHER_NAMES.get(system, system)
    if len(parts) == 1:
        if system in _SYSTEMS:
            return Platform(system, base.architecture, base.variant, version.removesuffix(")"))
        name = parts[0].lower()
        if _OTHER_NAMES.get(name, name) not in _ARCHITECTURES:
            raise ValueError("it is neither a known system nor a known architecture")
        return normal(base.system, name, "", "")
    variant = parts[2].lower() if len(parts) == 3 else ""
    return normal(system, parts[1].lower(), variant, version.removesuffix(")"))


def normal(system: str, architecture: str, variant: str, version: str = "") -> Platform:
    """Return a platform as containerd writes it: 64-bit Arm is v8 and 32-bit Arm v7 where nothing is said."""
    name = _OTHER_NAMES.get(architecture, architecture)
    variant = variant or _VARIANTS.get(architecture, "")
    if name == "arm64" and variant in ("8", "v8"):
        variant = ""
    elif name == "arm":
        variant = f"v{variant.removeprefix('v') or '7'}"
    elif name == "amd64" and variant == "v1":
        variant = ""
    return Platform(system, name, variant, version)
