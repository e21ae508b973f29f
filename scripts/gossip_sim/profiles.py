"""The profiles: what is done to a simulated cluster, and what is measured. The bars are those of `docs/gossip.md`."""

from collections.abc import Callable
from random import Random
from statistics import median

from gossip_sim.figures import Row, Traffic, at_least, at_most, false_alarms, heard_at, percentile
from gossip_sim.lifeguard import PAPERS, VARIANTS, slow_members
from gossip_sim.network import GossipNetwork
from gossip_sim.throughput import measure
from swarmlet.model.observed import Liveness

TASKS = 10
STATUS_SIZE_BYTES = 260
"""Of a task's status with one endpoint, as `model.observed` encodes it."""
REST_S = 60.0
"""Until the news of all those records has run out."""


def with_tasks(size: int, seed: int, tasks: int = TASKS) -> tuple[GossipNetwork, list[str]]:
    """A cluster that is at rest, each node with the records of its tasks."""
    network = GossipNetwork(seed)
    names = network.assemble(size)
    for name in names:
        for number in range(tasks):
            network.publish(name, f"task/{name}-{number}", bytes(STATUS_SIZE_BYTES))
    network.run_until(network.same_records, 120.0, look_each_s=1.0)
    network.run(REST_S)
    return network, names


def death(size: int, seed: int) -> list[Row]:
    """A host is lost (silence), or its agent killed (the port is refused), one after the other."""
    network = GossipNetwork(seed)
    names = network.assemble(size)
    rows = []
    for what, refuse in (("lost host", False), ("killed agent", True)):
        firsts, alls = [], []
        for _ in range(max(1, min(5, 200 // size, (size - 2) // 2))):
            victim = names.pop()
            crashed_at = network.now
            network.crash(victim, refuse=refuse)
            network.run_until(lambda v=victim: network.everyone_holds(v, Liveness.DEAD), 30.0, 0.02)
            heard = heard_at(network.running(), network.nodes[victim], Liveness.DEAD, crashed_at)
            suspected = heard_at(network.running(), network.nodes[victim], Liveness.SUSPECT, crashed_at)
            assert len(heard) == len(network.running()), "not everyone heard of it"
            firsts.append(min(suspected))
            alls.append(max(heard))
            network.run(3.0)
        profile = f"death, {size} nodes"
        rows.append(Row(profile, f"{what}: first suspicion (median)", median(firsts), "s"))
        figure = f"{what}: known dead by all (median)"
        limit = {True: 6.0 if size > 100 else 2.5, False: 6.0 if size > 100 else None}[refuse]
        rows.append(
            at_most(profile, figure, median(alls), "s", limit) if limit else Row(profile, figure, median(alls), "s")
        )
    return rows


def endpoint(size: int, seed: int) -> list[Row]:
    """One node's endpoint comes up or goes away: when each of the others knows."""
    network = GossipNetwork(seed)
    names = network.assemble(size)
    rng = Random(seed)
    times: list[float] = []
    for number in range(max(2, min(40, 4000 // size))):
        owner = rng.choice(names)
        at = network.now
        network.publish(owner, "task/t", b"%d" % number * 200)
        network.run(3.0)
        key = (network.nodes[owner].node_id, "task/t")
        times += [node.records_at.get(key, float("inf")) - at for node in network.running()]
    limit = 1.0 if size <= 100 else 2.0
    return [
        Row(f"endpoint, {size} nodes", "change known (median)", median(times), "s"),
        at_most(f"endpoint, {size} nodes", "change known (p99)", percentile(times, 0.99), "s", limit),
    ]


def steady(size: int, seed: int, minutes: float) -> list[Row]:
    """Nothing happens."""
    network, _ = with_tasks(size, seed)
    traffic, since = Traffic(network), network.now
    network.run(60 * minutes)
    profile = f"steady, {size} nodes"
    return [*traffic.rows(profile, 5000.0), _alarms(profile, network, since)]


def trouble(size: int, seed: int, minutes: float) -> list[Row]:
    """What networks do short of breaking: nobody should be declared dead."""
    rows = []
    for what in ("loss of 10 %", "delay of 20 to 80 ms", "one-way links", "flapping links"):
        network = GossipNetwork(seed)
        names = network.assemble(size)
        rng = Random(seed)
        if what == "loss of 10 %":
            network.loss = 0.1
        elif what == "delay of 20 to 80 ms":
            network.delay_s = (0.02, 0.08)
        else:
            broken = {(rng.choice(names), rng.choice(names)) for _ in range(size)}
            flaps = what == "flapping links"
            network.cut(
                lambda a, b, net=network, broken=broken, flaps=flaps: (
                    (a, b) in broken and not (flaps and net.now % 4 < 2)
                )
            )
        since = network.now
        network.run(60 * minutes)
        rows.append(_alarms(what, network, since))
    return [*rows, bursts(size, seed, minutes)]


def bursts(size: int, seed: int, minutes: float) -> Row:
    """What `scripts/bench gossip` does to real agents: a fifth of them stopped at a time, at 10 % loss."""
    network = GossipNetwork(seed)
    names = network.assemble(size)
    network.loss = 0.1
    rng, since = Random(seed), network.now
    while network.now < since + 60 * minutes:
        for name in rng.sample(names, max(1, size // 5)):
            network.stall(name, 1.5)
        network.run(3.5)
    return _alarms("bursts of stalls", network, since)


def partition(size: int, seed: int, minutes: float) -> list[Row]:
    """Two halves apart, each with changes of its own; then the cut heals."""
    network, names = with_tasks(size, seed, tasks=2)
    network.part(names[::2], names[1::2])
    network.run(60 * minutes)
    for name in names:
        network.publish(name, f"task/{name}-0", b"written while apart")
    network.run(5.0)
    network.heal()
    healed_at = network.now
    network.run_until(network.agree, 60.0, 0.05)
    agreed_s = network.now - healed_at
    network.run_until(network.same_records, 60.0, 0.25)
    same_s = network.now - healed_at
    network.run(10.0)
    profile = f"partition, {size} nodes"
    still_wrong = sum(
        m.liveness is not Liveness.ALIVE for node in network.running() for m in node.core.members().values()
    )
    return [
        at_most(profile, f"one view after {minutes:g} minutes apart", agreed_s, "s", 5.0),
        at_most(profile, "observed state converged", same_s, "s", 60.0),
        at_most(profile, "living nodes not held for alive in the end", still_wrong, "", 0.0),
    ]


def mass_join(size: int, seed: int) -> list[Row]:
    """All start within a second and know one address."""
    network = GossipNetwork(seed)
    network.start("n0")
    names = [f"n{number}" for number in range(1, size)]
    at = network.now
    for number, name in enumerate(names):
        network.at(at + number / size, lambda name=name: _start_with_tasks(network, name))
    network.run(1.0)
    traffic = Traffic(network)
    network.run_until(network.agree, 120.0, 0.1)
    agreed_s = network.now - at
    network.run_until(network.same_records, 300.0, 0.5)
    profile = f"mass join, {size} nodes"
    return [
        Row(profile, "everyone knows everyone", agreed_s, "s"),
        Row(profile, "observed state converged", network.now - at, "s"),
        *traffic.rows(profile),
    ]


def mass_restart(size: int, seed: int) -> list[Row]:
    """Half of the nodes restart within a second, as after a power failure of a rack."""
    network, names = with_tasks(size, seed, tasks=2)
    at = network.now
    for number, name in enumerate(names[1 : size // 2]):
        network.at(at + number / size, lambda name=name: _restart_with_tasks(network, name, names[0]))
    network.run(1.0)
    network.run_until(network.agree, 120.0, 0.1)
    agreed_s = network.now - at
    network.run_until(network.same_records, 300.0, 0.5)
    profile = f"mass restart, {size} nodes"
    return [
        Row(profile, "one view", agreed_s, "s"),
        Row(profile, "observed state converged", network.now - at, "s"),
        _alarms(profile, network, at),
    ]


def slow(seed: int, everything: bool) -> list[Row]:
    """The Lifeguard paper's experiment."""
    rows = []
    for slowness in PAPERS:
        profile = f"slow, {slowness}"
        deaths = {}
        for name, variant in VARIANTS.items():
            if everything or name in ("swarmlet", "plain SWIM"):
                found = slow_members(variant, slowness, seed)
                deaths[name] = found.dead
                rows.append(Row(profile, f"{name}: false positives", found.dead, ""))
                rows.append(Row(profile, f"{name}: of those, at healthy members", found.dead_at_healthy, ""))
                rows.append(Row(profile, f"{name}: a node-hour", found.per_node_hour, ""))
        if deaths["plain SWIM"]:
            ratio = deaths["plain SWIM"] / max(1, deaths["swarmlet"])
            rows.append(at_least(profile, "times fewer than plain SWIM (counting at least one)", ratio, "×", 10.0))
    return rows


def throughput(seed: int) -> list[Row]:
    """What one core does in a second, in a cluster of 100 with 20 nodes that publish ten times a second."""
    found = measure(seed)
    return [
        at_least("throughput", "messages a second through one core", found.messages_per_s, "/s", 20_000),
        Row("throughput", "datagrams a second", found.datagrams_per_s, "/s"),
    ]


def _alarms(profile: str, network: GossipNetwork, since: float) -> Row:
    found = false_alarms(network, since)
    return at_most(profile, "false positives a node-hour", found.per_node_hour, "", 0.0)


def _start_with_tasks(network: GossipNetwork, name: str) -> None:
    network.start(name, join="n0")
    network.publish(name, f"task/{name}", bytes(STATUS_SIZE_BYTES))


def _restart_with_tasks(network: GossipNetwork, name: str, join: str) -> None:
    network.restart(name, join=join)
    network.publish(name, f"task/{name}", bytes(STATUS_SIZE_BYTES))


Profile = Callable[[list[int], int, float, bool], list[Row]]
PROFILES: dict[str, Profile] = {
    "death": lambda sizes, seed, minutes, everything: [row for size in sizes for row in death(size, seed)],
    "endpoint": lambda sizes, seed, minutes, everything: [row for size in sizes for row in endpoint(size, seed)],
    "steady": lambda sizes, seed, minutes, everything: steady(min(sizes[-1], 100), seed, minutes),
    "trouble": lambda sizes, seed, minutes, everything: trouble(min(sizes[-1], 50), seed, minutes),
    "partition": lambda sizes, seed, minutes, everything: partition(min(sizes[-1], 100), seed, 10.0),
    "join": lambda sizes, seed, minutes, everything: mass_join(min(sizes[-1], 200), seed),
    "restart": lambda sizes, seed, minutes, everything: mass_restart(min(sizes[-1], 200), seed),
    "throughput": lambda sizes, seed, minutes, everything: throughput(seed),
    "slow": lambda sizes, seed, minutes, everything: slow(seed, everything),
}
