"""Beside Docker: a chain of ours where the host's FORWARD chain drops what it does not know.

A drop in any base chain is final, and Docker sets FORWARD's policy to drop; with bridge-nf-call-iptables=1
that even stops frames within our own bridges. So packets that enter or leave a ``cmp`` interface are accepted
in DOCKER-USER (in FORWARD itself where some other firewall set the policy), and our own table decides about
them. Packets between ours and Docker's bridges are left to Docker's own rules: accepting those would open its
networks to ours.
"""

from __future__ import annotations

import os

from composer.runtime.network.netlink import Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.network import nftables

CHAIN = "COMPOSER"
_PATH = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin")
_HEX = frozenset("0123456789abcdef")


class _Tables:
    """One of the host's four iptables: IPv4 or IPv6, over nftables or the older kernel interface."""

    __slots__ = ("family", "legacy", "session")

    def __init__(self, session: nftables.Session, family: str, legacy: bool) -> None:
        self.session = session
        self.family = family
        self.legacy = legacy

    def chain(self, name: str) -> str | None:
        """Return the text of a chain, or None."""
        return self._legacy_chain(name) if self.legacy else self._nft_chain(name)

    def chains(self) -> dict[str, str]:
        """Return the text of FORWARD and DOCKER-USER, those that are there."""
        found = {"FORWARD": self.chain("FORWARD")}
        if found["FORWARD"] is not None:
            found["DOCKER-USER"] = self.chain("DOCKER-USER")
        return {name: text for name, text in found.items() if text is not None}

    def restored_by(self, commands: str) -> tuple[list[str], str]:
        """Return the program, and its input, that runs commands on the filter table as one transaction."""
        name = "iptables" if self.family == "ip" else "ip6tables"
        program = _program(f"{name}-{'legacy' if self.legacy else 'nft'}-restore", f"{name}-restore")
        if program is None:
            raise _no_iptables(name)
        return [program, "--noflush"], f"*filter\n{commands}COMMIT\n"

    def _nft_chain(self, chain: str) -> str | None:
        try:
            return self.session.run(f"list chain {self.family} filter {chain}\n")
        except FileNotFoundError:
            return None

    def _legacy_chain(self, chain: str) -> str | None:
        name = "iptables" if self.family == "ip" else "ip6tables"
        program = _program(f"{name}-legacy")
        if program is None:
            return None
        try:
            return _run([program, "-w", "-S", chain], "")
        except OSError:
            return None


def ensure(session: nftables.Session) -> bool:
    """Put our chain in where the host's FORWARD chain would drop our packets; tell whether one was met."""
    met = False
    named: list[str] | None = None
    changes: list[tuple[list[str], str]] = []
    for tables in _all_tables(session):
        chains = tables.chains()
        entry = _entry(chains)
        if entry is None:
            continue
        met = True
        if named is None:  # most machines have no such chain, and need not be asked
            named = _named_by_hand(session)
        jump = "" if _jumps(chains[entry]) else f"-I {entry} 1 -j {CHAIN}\n"
        text = (tables.chain(CHAIN) or "") if named and not jump else ""
        if jump or not all(_knows(text, name) for name in named):
            changes.append(tables.restored_by(f":{CHAIN} - [0:0]\n{_rules(named)}{jump}"))
    _run_all(changes)
    return met


def remove(session: nftables.Session) -> None:
    """Take our chain out again, wherever it is."""
    changes: list[tuple[list[str], str]] = []
    for tables in _all_tables(session):
        entries = [name for name, text in tables.chains().items() if _jumps(text)]
        if entries:
            jumps = "".join(f"-D {name} -j {CHAIN}\n" for name in entries)
            changes.append(tables.restored_by(f"{jumps}-F {CHAIN}\n-X {CHAIN}\n"))
    _run_all(changes)


def _all_tables(session: nftables.Session) -> list[_Tables]:
    found = [_Tables(session, "ip", False), _Tables(session, "ip6", False)]
    for family, path in (("ip", "/proc/net/ip_tables_names"), ("ip6", "/proc/net/ip6_tables_names")):
        try:
            with open(path, encoding="utf-8") as file:
                if "filter" in file.read().split():
                    found.append(_Tables(session, family, True))
        except OSError:
            continue  # the older interface is not in this kernel
    return found


def _entry(chains: dict[str, str]) -> str | None:
    """Return the chain to jump from, or None when nothing of ours would be dropped."""
    if "DOCKER-USER" in chains:
        return "DOCKER-USER"
    forward = chains.get("FORWARD", "")
    # nft prints "policy drop;", iptables -S prints "-P FORWARD DROP".
    return "FORWARD" if "policy drop;" in forward or "-P FORWARD DROP" in forward else None


def _jumps(text: str) -> bool:
    return f"jump {CHAIN}\n" in text + "\n" or f"-j {CHAIN}\n" in text + "\n"


def _knows(text: str, name: str) -> bool:
    return f'iifname "{name}" oifname "{name}"' in text or f"-i {name} -o {name} " in text


def _named_by_hand(session: nftables.Session) -> list[str]:
    """Return our bridges whose name the user chose (com.docker.network.bridge.name).

    No pattern finds them.
    """
    try:
        text = session.run("list set inet composer bridges\n")
    except FileNotFoundError:
        return []
    return sorted(name for name in text.split('"')[1::2] if not name.startswith("cmp"))


def _rules(named: list[str]) -> str:
    ours = ["cmp+", *named]
    lines = [f"-i {name} -o {other} -j ACCEPT" for name in ours for other in ours]
    # A bridge that only looks like Docker's (br-lan, the host's uplink) is not left to Docker.
    with Netlink() as netlink:
        for link in netlink.links():
            if link.name.startswith("br-") and not _is_docker_bridge(link.name) and link.name not in named:
                lines += [f"-i {name} -o {link.name} -j ACCEPT" for name in ours]
                lines += [f"-i {link.name} -o {name} -j ACCEPT" for name in ours]
    for pattern in ("docker+", "br-+"):
        lines += [f"-i {pattern} -o {name} -j RETURN" for name in ours]
        lines += [f"-i {name} -o {pattern} -j RETURN" for name in ours]
    lines += [f"{side} {name} -j ACCEPT" for name in ours for side in ("-i", "-o")]
    return "".join(f"-A {CHAIN} {line}\n" for line in lines)


def _is_docker_bridge(name: str) -> bool:
    return len(name) == 15 and _HEX.issuperset(name[3:])


def _program(*names: str) -> str | None:
    for name in names:
        for directory in _PATH:
            path = f"{directory}/{name}"
            if os.access(path, os.X_OK):
                return path
    return None


def _run(arguments: list[str], text: str) -> str:
    return _run_all([(arguments, text)])[0]


def _run_all(programs: list[tuple[list[str], str]]) -> list[str]:
    """Run programs side by side, each with its input, and return what they print. Raises OSError when one fails.

    Each of those that change something waits for an RCU grace period when it ends.
    """
    if not programs:
        return []
    import subprocess

    pipe, begun = subprocess.PIPE, []
    for arguments, text in programs:
        # all of its input is there when it begins: it waits for none of the others
        with open(os.memfd_create("rules"), "w+b") as file:
            file.write(text.encode())
            file.seek(0)
            begun.append(
                subprocess.Popen(
                    arguments, stdin=file, stdout=pipe, stderr=pipe, text=True, env={"PATH": ":".join(_PATH)}
                )
            )
    ended = [process.communicate() for process in begun]
    for process, (_, error), (arguments, _) in zip(begun, ended, programs, strict=True):
        if process.returncode:
            reason = error.strip().splitlines()
            raise OSError(22, f"'{arguments[0]}' failed: {reason[0] if reason else process.returncode}")
    return [output for output, _ in ended]


def _no_iptables(name: str) -> Exception:
    from composer.errors import Unavailable

    return Unavailable(
        f"the host's FORWARD chain drops packets by default, and '{name}' is not installed to allow composer's bridges",
        hint=f"install {name}, or accept packets of interfaces named cmp* in that chain",
    )
