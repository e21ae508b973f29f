"""What one key alone can't say: contradictions between keys, and what must not be open without a secret.

Each rule looks at a whole configuration and returns the key to change and what would be right, or None.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmlet.config.settings import Config

Broken = tuple[str, str]
"""(dotted key, what would be right)"""

UNIX_PATH_BYTES_MAX = 107
"""What the kernel takes as the path of a Unix socket (sun_path, less its closing zero)."""


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def is_wildcard(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified


def first_broken_rule(config: "Config") -> Broken | None:
    return next((broken for rule in RULES if (broken := rule(config)) is not None), None)


def _one_way_to_start(config: "Config") -> Broken | None:
    if config.bootstrap and config.bootstrap_expect:
        return "bootstrap", (
            "excludes bootstrap_expect: bootstrap starts a cluster with this node alone, bootstrap_expect starts it "
            "together with others; remove one of the two"
        )
    if config.bootstrap and config.join:
        return "bootstrap", (
            "excludes join: bootstrap starts a new cluster, join looks for one that others started; remove join on the "
            "first node and bootstrap on all others, or set bootstrap_expect on all"
        )
    return None


def _devices_are_of_one_kind(config: "Config") -> Broken | None:
    names = Counter(name for has in config.resources.named_devices.values() for name in has.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        return "resources.devices", f"has {twice[0]} in two kinds: two tasks would get it, name it in one of them"
    return None


def _joins_others(config: "Config") -> Broken | None:
    own = {config.address, config.advertise}
    if config.join and all(address in own for address in config.join):
        return "join", "names this node alone: name at least one other node, or remove it on the first node"
    return None


def _reachable_by_others(config: "Config") -> Broken | None:
    if config.advertise is not None and is_wildcard(config.advertise.host):
        return "advertise", "is no address that peers can reach: give one of this host's own"
    return None


def _peers_need_a_key(config: "Config") -> Broken | None:
    if config.key_file is None and not is_loopback(config.address.host):
        return "address", (
            "is open to the network, so it needs key_file: make one with `(umask 077; swarmlet keygen > cluster.key)`, "
            "copy it to every node (mode 0600) and name it in key_file; or use 127.0.0.1 for a node alone"
        )
    return None


def _api_needs_a_token(config: "Config") -> Broken | None:
    if config.api.token_file is None and not is_loopback(config.api.listen.host):
        return "api.listen", (
            "is open to the network, so api.token_file is needed: make one with `(umask 077; head -c 32 /dev/urandom | "
            'base64 > api.token)` and set token_file = "api.token" in [api]; or listen on 127.0.0.1'
        )
    return None


def _ports_differ(config: "Config") -> Broken | None:
    peer, api = config.address, config.api.listen
    same_host = peer.host == api.host or is_wildcard(peer.host) or is_wildcard(api.host)
    if peer.port == api.port and same_host:
        return "api.listen", f"is taken by this node's own peer address {peer}: use another port"
    return None


def _socket_path_fits(config: "Config") -> Broken | None:
    if config.api.unix is not None and len(bytes(config.api.unix)) > UNIX_PATH_BYTES_MAX:
        return "api.unix", f'must be at most {UNIX_PATH_BYTES_MAX} bytes long: set a shorter path, or "" for no socket'
    return None


def _probes_end_in_time(config: "Config") -> Broken | None:
    gossip = config.gossip
    if gossip.probe_timeout_s >= gossip.probe_interval_s:
        return "gossip.probe_timeout_s", f"must be less than probe_interval_s ({gossip.probe_interval_s})"
    if gossip.suspicion_s < gossip.probe_interval_s:
        return "gossip.suspicion_s", (
            f"must be at least probe_interval_s ({gossip.probe_interval_s}): a suspected node needs time to object"
        )
    return None


def _elections_are_rare(config: "Config") -> Broken | None:
    raft = config.raft
    if raft.election_min_s < 2 * raft.heartbeat_s:
        return "raft.election_min_s", (
            f"must be at least twice heartbeat_s ({raft.heartbeat_s}): one lost message must not end a leader's term"
        )
    if raft.election_max_s <= raft.election_min_s:
        return "raft.election_max_s", f"must be more than election_min_s ({raft.election_min_s})"
    return None


RULES: tuple[Callable[["Config"], Broken | None], ...] = (
    _one_way_to_start,
    _joins_others,
    _devices_are_of_one_kind,
    _reachable_by_others,
    _peers_need_a_key,
    _api_needs_a_token,
    _ports_differ,
    _socket_path_fits,
    _probes_end_in_time,
    _elections_are_rare,
)
