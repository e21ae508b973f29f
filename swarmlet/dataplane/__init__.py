"""How traffic reaches tasks: routes derived from what is known, a userspace proxy, and relays between nodes."""
