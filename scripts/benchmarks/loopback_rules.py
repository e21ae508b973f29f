"""Counts and drops packets of fleets on loopback, by nftables rules in a table of its own that is always removed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lab.workspace import run

TABLE = "swarmlet_bench_gossip"


class LoopbackRules:
    def __init__(self, networks: list[str]) -> None:
        self._networks = networks

    def bytes_sent(self, network: str) -> int:
        """Of this fleet so far, with IP headers, datagrams and streams."""
        listed = json.loads(run("nft", "-j", "list", "counters", "table", "inet", TABLE))
        name = _counter(network)
        return next(int(o["counter"]["bytes"]) for o in listed["nftables"] if o.get("counter", {}).get("name") == name)

    @contextmanager
    def losing(self, percent: int) -> Iterator[None]:
        for network in self._networks:
            run(
                "nft", "add", "rule", "inet", TABLE, "lost", "ip", "daddr", f"{network}.0.0/16",
                "numgen", "random", "mod", "100", "<", str(percent), "drop",
            )  # fmt: skip
        try:
            yield
        finally:
            run("nft", "flush", "chain", "inet", TABLE, "lost")


def _counter(network: str) -> str:
    return "sent_" + network.replace(".", "_")


@contextmanager
def loopback_rules(networks: list[str]) -> Iterator[LoopbackRules]:
    run("nft", "delete", "table", "inet", TABLE, check=False)
    counters = "".join(f"counter {_counter(network)} {{ }}\n" for network in networks)
    # What an agent dials has its source chosen by the kernel, so a packet is a fleet's if either end is.
    counted = "".join(
        f"ip {side} {network}.0.0/16 counter name {_counter(network)} accept\n"
        for network in networks
        for side in ("daddr", "saddr")
    )
    rules = (
        f"table inet {TABLE} {{\n{counters}"
        f"chain sent {{ type filter hook output priority 0; policy accept;\n{counted}}}\n"
        "chain lost { type filter hook input priority 0; policy accept; }\n}\n"
    )
    run("nft", rules)
    try:
        yield LoopbackRules(networks)
    finally:
        run("nft", "delete", "table", "inet", TABLE)
