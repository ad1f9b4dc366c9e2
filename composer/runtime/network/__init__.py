"""A container's network: links, addresses, the firewall, published ports, names. Carried by the keeper."""
