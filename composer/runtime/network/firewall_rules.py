"""The text of the table ``inet composer``: rules that never change, around sets and maps that do.

How a packet goes:

    prerouting raw   for 127.0.0.0/8, but not from lo: a forgery, as our bridges have route_localnet; drop
    prerouting nat   to a published port of this host: on to the container, even from one (hairpin)
    output nat       the same for the host's own connections, to 127.0.0.1 too; not to ::1, see `relay`
    input            from an internal network: only to its own gateway
    forward          known connection, same bridge, published port: accept
                     any other way into a bridge of ours, or out of an internal one: drop
    postrouting      translated and back into its own bridge, from this host, or out of its subnet: masquerade

An accept here does not keep other tables from dropping. Internal networks are in no outbound set.
"""

from __future__ import annotations

TABLE = "inet composer"
DNS_TABLE = "inet composer_dns"
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
"""By number everywhere: names would be looked up in /etc/protocols, which a small system does not have."""

SETS = """
 set bridges { type ifname; }
 set internal { type ifname; }
 set same { type ifname . ifname; }
 set home4 { type ifname . ipv4_addr; flags interval; }
 set home6 { type ifname . ipv6_addr; flags interval; }
 set outbound4 { type ipv4_addr; flags interval; }
 set outbound6 { type ipv6_addr; flags interval; }
 map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
 map ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
 map at4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
 map at6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
"""

CHAINS = """
 chain guard {
  type filter hook prerouting priority raw; policy accept;
  iifname != "lo" ip daddr 127.0.0.0/8 drop
 }
 chain published {
  meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @at4
  meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports4
  ip6 daddr ::1 return
  meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @at6
  meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @ports6
 }
 chain arriving {
  type nat hook prerouting priority -100; policy accept;
  meta l4proto { 6, 17, 132 } fib daddr type local jump published
 }
 chain leaving {
  type nat hook output priority -100; policy accept;
  meta l4proto { 6, 17, 132 } fib daddr type local jump published
 }
 chain to_host {
  type filter hook input priority filter; policy accept;
  iifname != @internal accept
  ct state established,related accept
  iifname . ip daddr @home4 accept
  iifname . ip6 daddr @home6 accept
  meta l4proto 58 accept
  drop
 }
 chain through {
  type filter hook forward priority filter; policy accept;
  ct state established,related accept
  iifname . oifname @same accept
  iifname @internal drop
  oifname @internal drop
  oifname @bridges ct status dnat accept
  oifname @bridges drop
 }
 chain translated {
  type nat hook postrouting priority srcnat; policy accept;
  oifname . ip saddr @home4 jump hairpin
  oifname . ip6 saddr @home6 jump hairpin
  oifname @bridges ct status dnat fib saddr type local masquerade
  ip saddr @outbound4 masquerade
  ip6 saddr @outbound6 masquerade
 }
"""

HAIRPIN = """
 chain hairpin {
  ct status dnat masquerade
  accept
 }
"""


def create_table() -> str:
    """Return the commands that make the table; they fail as a whole when it is there already."""
    return f"create table {TABLE}\ntable {TABLE} {{{SETS}{HAIRPIN}{CHAINS}}}\n"


def rules_of_chains() -> dict[str, int]:
    """Return how many rules each chain has, as `create_table` makes them."""
    found: dict[str, int] = {}
    chain = ""
    for line in (HAIRPIN + CHAINS).splitlines():
        words = line.split()
        if words[:1] == ["chain"]:
            chain = words[1]
        elif words and words[0] not in ("type", "}"):
            found[chain] = found.get(chain, 0) + 1
    return found


def network_elements(
    name: str, subnet4: str | None, subnet6: str | None, internal: bool, *, masquerade: bool = True
) -> list[tuple[str, str]]:
    """Return (set, element) for a network, in the order in which they are added."""
    quoted = f'"{name}"'
    elements = [("bridges", quoted), ("same", f"{quoted} . {quoted}")]
    if internal:
        elements.append(("internal", quoted))
    for family, subnet in (("4", subnet4), ("6", subnet6)):
        if subnet:
            elements.append((f"home{family}", f"{quoted} . {subnet}"))
            if masquerade and not internal:
                elements.append((f"outbound{family}", subnet))
    return elements


def port_element(
    protocol: str, host_ip: str, host_port: int, to_ip: str, to_port: int
) -> tuple[str, str, str]:
    """Return (map, key, value) for a published port."""
    number = PROTOCOLS[protocol]
    family = "6" if ":" in to_ip else "4"
    value = f"{to_ip} . {to_port}"
    if host_ip in ("", "0.0.0.0", "::"):
        return f"ports{family}", f"{number} . {host_port}", value
    return f"at{family}", f"{host_ip} . {number} . {host_port}", value


def container_dns_table(port_udp: int, port_tcp: int) -> str:
    """Return the commands for a container's namespace: port 53 of 127.0.0.11 is served on the given ports.

    They fail as a whole when the table is there already.

    Answers are translated back by connection tracking. Only what is addressed to 127.0.0.11 matches, so the
    container's own server may listen on 0.0.0.0:53.
    """
    return f"""create table {DNS_TABLE}
table {DNS_TABLE} {{
 chain output {{
  type nat hook output priority -100; policy accept;
  ip daddr 127.0.0.11 udp dport 53 dnat ip to 127.0.0.11:{port_udp}
  ip daddr 127.0.0.11 tcp dport 53 dnat ip to 127.0.0.11:{port_tcp}
 }}
}}
"""
