"""The one place where all of it is wired together: the parts of an agent, what each hears of the others, their order.

Nothing is decided here. Before anything is written, the configuration is checked: addresses, data directory, key.
"""

import asyncio
import platform
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from random import SystemRandom
from typing import Any

import msgpack
import structlog
import uvloop

import swarmlet
from swarmlet import interpreter
from swarmlet.api.peer import Peer
from swarmlet.api.server import make_app, serve
from swarmlet.config import Config, advertised_address, check_addresses, check_data_dir
from swarmlet.controllers.autoscaling import autoscaled_on
from swarmlet.controllers.outcome import ControllerSettings
from swarmlet.controllers.voters import VoterSettings
from swarmlet.counting import counters_of
from swarmlet.dataplane.proxy import Proxy
from swarmlet.dataplane.relay import RelayServer
from swarmlet.dataplane.routes import RouteTable
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.death_quorum import DeathQuorum
from swarmlet.drivers.exclusive_leases import ExclusiveLeases
from swarmlet.drivers.formation import Formation
from swarmlet.drivers.key_rotation import KeyRotation
from swarmlet.drivers.keyring import Keyring
from swarmlet.drivers.leadership import Leadership
from swarmlet.drivers.log_filter import LogSuperseded
from swarmlet.drivers.log_positions import LogPositionCalls
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.drivers.state_guard import StateGuard
from swarmlet.errors import SwarmletError
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.logging import configure_logging
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Address, Liveness, NodeFacts
from swarmlet.model.spec import Resources
from swarmlet.node.loop import NodeLoop
from swarmlet.node.stock_loop import StockKeys, StockLoop
from swarmlet.node.usage_loop import UsageLoop
from swarmlet.node.watchdog import Watchdog
from swarmlet.raft import RaftSettings
from swarmlet.runtime.choice import open_runtime
from swarmlet.runtime.interface import LogLine, Runtime
from swarmlet.runtime.lease_files import LEASES_DIR, LeaseFiles
from swarmlet.security.keyring import KeyRing, load_or_make_ring, load_ring
from swarmlet.security.keys import load_token
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.storage import DataDirectory, DirectoryUnusable, NewLog, RaftStorage, finish_setting_aside, set_log_aside
from swarmlet.transport import DatagramEndpoint, PeerNetwork

NODE_LOGS = "node.logs"
LEADER_RETRY_S = 0.2
HANDOVER_S = 1.0
"""A leader that stops waits so long for another one to take over."""

log = structlog.get_logger()


def run_agent(config: Config) -> int:
    """Run until SIGTERM or SIGINT; the process's exit status. Raises `ConfigError` before anything is written."""
    check_addresses(config)
    check_data_dir(config)
    ring = _given_ring(config)
    token = load_token(config.api.token_file) if config.api.token_file else None
    configure_logging(config.log.level, config.log.format)
    interpreter.tune()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, ring, token))
    except SwarmletError as error:
        return _failed([error])
    except BaseExceptionGroup as group:
        expected, unexpected = group.split(SwarmletError)
        if expected is None or unexpected is not None:
            raise
        return _failed(_leaves(expected))
    return 0


def _failed(errors: Sequence[BaseException]) -> int:
    for error in errors:
        sys.stderr.write(f"swarmlet: {error}\n")
    return 1


def _given_ring(config: Config) -> KeyRing | None:
    """The cluster keys that the configuration names; None where the agent is to make its own."""
    if config.key_file is None:
        return None
    try:
        return load_ring(config.key_file)
    except SwarmletError as error:
        raise config.error("key_file", str(error)) from error


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


async def _run(config: Config, ring: KeyRing | None, token: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        superseded = await _run_until_superseded(config, ring, token, stop)
        if superseded is None:
            return
        # The same start as any other, with an empty log: nothing is stopped before this node has caught up.
        log.warning("log_superseded", error=str(superseded))
        await asyncio.to_thread(_set_log_aside, config, superseded)


async def _run_until_superseded(
    config: Config, ring: KeyRing | None, token: str | None, stop: asyncio.Event
) -> LogSuperseded | None:
    """Run until told to stop; or until the log has to be put aside, which it says."""
    superseded: LogSuperseded | None = None
    async with Agent.opened(config, ring, token) as agent:
        interpreter.settle()
        try:
            await agent.run(stop)
        except* LogSuperseded as group:
            superseded = next(error for error in _leaves(group) if isinstance(error, LogSuperseded))
    return superseded


def _set_log_aside(config: Config, superseded: LogSuperseded) -> None:
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as data:
        set_log_aside(data.raft_log, "superseded", NewLog(superseded.newer))


class Agent:
    """The parts of one agent. `opened` builds and connects them; `run` runs them until it is told to stop."""

    def __init__(
        self, config: Config, data: DataDirectory, ring: KeyRing, runtime: Runtime, offered: Resources
    ) -> None:
        rng = SystemRandom()
        self.config, self.data, self.runtime, self._offered = config, data, runtime, offered
        self.node_id = data.node_id
        self._known_peers = data.load_peers()
        now = asyncio.get_running_loop().time()
        self._credentials = PeerCredentials(ring, self.node_id)
        self._sealer = DatagramSealer(ring, config.cluster, now)
        self.network = PeerNetwork(self.node_id, self._credentials, config.address, self._address_of)
        self.datagrams = DatagramEndpoint(config.address, self._sealer, self._on_datagram, self._on_unreachable)
        identity = LocalIdentity(self.node_id, config.name, advertised_address(config), config.cluster)
        gossip = Gossip(identity, _gossip_settings(config), rng, now, generation=data.next_generation())
        self.membership = Membership(gossip, self.datagrams, self.network)
        self.keyring = Keyring(
            ring,
            config.cluster_key_path,
            self.network,
            self.membership,
            self._renew_keys,
            lambda: self.datagrams.counters.dropped_foreign,
        )
        finish_setting_aside(data.raft_log)
        self.storage = RaftStorage.open(data.raft_log)
        self.consensus = Consensus(
            self.node_id,
            _raft_settings(config),
            self.storage,
            self.network,
            rng,
            config.raft.snapshot_every,
            config.store.size_max,
        )
        self.log_positions = LogPositionCalls(self.consensus, self.network)
        self.rotation = KeyRotation(self.keyring, self.network, self.membership, lambda: self.consensus.replica)
        self.formation = Formation(config.bootstrap_expect, data, self.consensus, self.membership, self.network)
        self.state_guard = StateGuard(self.consensus, self.membership, self.network)
        self.deaths = DeathQuorum(self.consensus, self.membership, self.network)
        self.node_loop = NodeLoop(
            self.node_id,
            config.name,
            runtime,
            self.membership.publish_task,
            drain_s=config.proxy.drain_s,
            devices=config.resources.named_devices,
        )
        self._stock: StockKeys = ((), ())
        self.stock = StockLoop(runtime, lambda: self.node_loop.changes, self._take_stock)
        self.usage = UsageLoop(
            runtime,
            self.node_loop.statuses,
            lambda: autoscaled_on(self.node_id, self.consensus.replica.state),
            lambda: len(self.membership.members()),
            self.membership.publish_usage,
        )
        self.exclusive = ExclusiveLeases(
            self.consensus, self.network, self.node_loop, LeaseFiles(data.path / LEASES_DIR)
        )
        self.leadership = Leadership(
            self.consensus,
            self.membership,
            self.deaths,
            VoterSettings(dead_after_s=config.autopilot.dead_after),
            ControllerSettings(rebalance=config.scheduling.rebalance == "gentle"),
            self.exclusive.leases,
        )
        self.proxy = Proxy(self.node_id, config.proxy.listen_address, self.network.open_relay)
        self.relay = RelayServer(self._local_endpoint)
        self.watchdog = Watchdog()
        self.network.on_relay(self.relay)
        self.network.on_stream(NODE_LOGS, self._serve_logs)

    @classmethod
    @asynccontextmanager
    async def opened(cls, config: Config, ring: KeyRing | None, token: str | None) -> AsyncIterator["Agent"]:
        async with AsyncExitStack() as stack:
            data = stack.enter_context(DataDirectory.open(config.data_dir, config.cluster, config.name))
            found_ring = ring or load_or_make_ring(config.cluster_key_path)
            runtime = await open_runtime(
                config.runtime.kind,
                podman_socket=config.runtime.podman_socket,
                workers=config.runtime.workers,
                images_dir=config.runtime.images_dir,
                state_dir=data.path,
                cluster=config.cluster,
                node_id=data.node_id,
            )
            stack.push_async_callback(runtime.close)
            agent = cls(config, data, found_ring, runtime, await _offered(config, runtime))
            stack.push_async_callback(asyncio.to_thread, agent.storage.close)
            await stack.enter_async_context(agent.network)
            await stack.enter_async_context(agent.datagrams)
            stack.push_async_callback(agent.proxy.close)
            app = make_app(agent.peer(), token, agent.counters)
            await stack.enter_async_context(serve(app, config.api.listen, config.api.unix))
            stack.enter_context(agent.watchdog)
            yield agent

    def peer(self) -> Peer:
        """What the API sees of this agent."""
        return Peer(
            cluster=self.config.cluster,
            name=self.config.name,
            consensus=self.consensus,
            membership=self.membership,
            log_positions=self.log_positions,
            rotation=self.rotation,
            logs=self._logs,
            problems=self._problems,
        )

    async def run(self, stop: asyncio.Event) -> None:
        if not (self.consensus.formed or self.config.bootstrap or self.config.bootstrap_expect or self.config.join):
            log.warning("nobody_to_join", hint="give join, bootstrap or bootstrap_expect in the configuration")
        log.info("agent_started", node=self.node_id, name=self.config.name, version=swarmlet.__version__)
        if self.config.bootstrap and not self.consensus.formed:
            await self.consensus.bootstrap()
        self._publish_facts()
        await asyncio.to_thread(self.exclusive.adopt)
        self.membership.join((*self.config.join, *self._known_peers.values()))
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            self.consensus.run(),
            self.membership.run(),
            self.keyring.run(),
            self.formation.run(),
            self.deaths.run(),
            self.leadership.run(),
            self.state_guard.run(),
            self.node_loop.run(),
            self.exclusive.run(),
            self.usage.run(),
            self.stock.run(),
            self._feed_node_loop(),
            self._feed_proxy(),
            self._keep_facts(),
            self._keep_peers(),
        )
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(part) for part in parts]
            await stop.wait()
            log.info("agent_stopping", node=self.node_id)
            await self._hand_over()
            self.membership.leave()
            for task in running:
                task.cancel()

    async def _hand_over(self) -> None:
        if not self.consensus.is_leader:
            return
        with listening(self.consensus.role_changed) as changed:
            self.consensus.transfer_leadership()
            if self.consensus.is_leader:
                await wait_at_most(changed, HANDOVER_S)

    # What one part hears of another

    async def _feed_node_loop(self) -> None:
        """This node's assignments, once it is certain that they are not an old copy: before that nothing is stopped."""
        while True:
            try:
                await self.consensus.barrier()
                break
            except SwarmletError as error:
                log.info("waiting_for_a_leader", error=str(error))
                await asyncio.sleep(LEADER_RETRY_S)
        with listening(self.consensus.replica.changed) as changed:
            while True:
                changed.clear()
                self.node_loop.desired(self.consensus.replica.state.tasks_on(self.node_id))
                await changed.wait()

    async def _feed_proxy(self) -> None:
        signals = (self.consensus.replica.changed, self.membership.changed)
        shown: RouteTable | None = None
        with listening(*signals) as changed:
            while True:
                changed.clear()
                table = RouteTable.of(self.consensus.replica.state, self.membership.observed(), self.node_id)
                if table != shown or self.proxy.problems():
                    await self.proxy.update(table)
                    shown = table
                await changed.wait()

    async def _keep_facts(self) -> None:
        with listening(self.consensus.role_changed) as changed:
            while not self.consensus.formed:
                changed.clear()
                await wait_at_most(changed, 1.0)
        self._publish_facts()

    def _take_stock(self, stock: StockKeys) -> None:
        self._stock = stock
        self._publish_facts()

    def _publish_facts(self) -> None:
        config = self.config
        self.membership.publish_facts(
            NodeFacts(
                name=config.name,
                version=swarmlet.__version__,
                runtime=self.runtime.name,
                architecture=platform.machine(),
                cpus=self._offered.cpus,
                memory_bytes=self._offered.memory_bytes,
                labels=config.labels,
                zone=config.zone,
                devices=config.resources.device_counts,
                device_ids={kind: tuple(has) for kind, has in config.resources.named_devices.items()},
                images=self._stock[0],
                volumes=self._stock[1],
                bootstrap_expect=0 if self.consensus.formed else config.bootstrap_expect,
            )
        )

    async def _keep_peers(self) -> None:
        """Where the others are, on disk: a restarted agent finds them without its `join` list."""
        with listening(self.membership.liveness_changed) as changed:
            while True:
                await changed.wait()
                changed.clear()
                self._known_peers |= {
                    member.node_id: member.address
                    for member in self.membership.members().values()
                    if member.node_id != self.node_id and member.liveness is Liveness.ALIVE
                }
                try:
                    await asyncio.to_thread(self.data.save_peers, dict(self._known_peers))
                except DirectoryUnusable as error:
                    # A restart will depend on the `join` list alone; nothing else does.
                    log.error("peers_not_saved", error=str(error))

    def _renew_keys(self, ring: KeyRing) -> None:
        self._sealer.rotate(ring, asyncio.get_running_loop().time())
        self._credentials.renew(ring)

    def _address_of(self, node: NodeId) -> Address | None:
        return self.membership.address(node) or self._known_peers.get(node)

    def _on_datagram(self, source: Address, payload: bytes) -> None:
        self.membership.on_datagram(source, payload)

    def _on_unreachable(self, address: Address) -> None:
        self.membership.on_unreachable(address)

    def _local_endpoint(self, task: TaskId, target_port: int) -> Address | None:
        status = self.node_loop.statuses().get(task)
        for endpoint in status.endpoints if status else ():
            if endpoint.target_port == target_port:
                return Address(endpoint.host, endpoint.port)
        return None

    # Logs, here or from the task's node

    async def _logs(self, task: Task, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        if task.node == self.node_id:
            async for line in self.node_loop.task_logs(task.id, tail, follow):
                yield line
            return
        request: bytes = msgpack.packb((task.id, tail, follow))
        async with aclosing(self.network.stream(task.node, NODE_LOGS, request)) as lines:
            async for body in lines:
                at, stream, text = msgpack.unpackb(body)
                yield LogLine(at, stream, text)

    async def _serve_logs(self, _sender: NodeId, body: bytes) -> AsyncGenerator[bytes, None]:
        task, tail, follow = msgpack.unpackb(body)
        async for line in self.node_loop.task_logs(TaskId(task), tail, follow):
            yield msgpack.packb((line.at, line.stream, line.text))

    # What people see

    def _problems(self) -> list[str]:
        problems = [str(problem) for problem in self.proxy.problems()] + self.state_guard.problems()
        problems += self.consensus.problems()
        if (filling := self.consensus.room.problem(self.consensus.store)) is not None:
            problems.append(filling)
        if (foreign := self.network.foreign_peer()) is not None:
            problems.append(str(foreign))
        if not self.consensus.formed:
            problems.append("this node does not belong to a cluster yet: no peer has added it")
        elif self.consensus.leader_id is None:
            problems.append("no leader: nothing can be changed until a majority of voters is back")
        problems += self.deaths.problems()
        return problems

    def counters(self) -> dict[str, dict[str, int]]:
        return {
            "datagrams": counters_of(self.datagrams.counters),
            "peers": counters_of(self.network.counters),
            "gossip": counters_of(self.membership.counters),
            "records": {
                "undecodable": self.membership.undecodable,
                "unpublishable": self.membership.unpublishable,
            },
            "leader": self.leadership.counters,
            "deaths": {"opinions_malformed": self.deaths.malformed},
            "storage": self.consensus.counters,
            "state": self.state_guard.counters,
            "exclusive": self.exclusive.counters,
            "proxy": counters_of(self.proxy.counters),
            "watchdog": {"event_loop_stalls": self.watchdog.stalls},
        }


def _raft_settings(config: Config) -> RaftSettings:
    timing = config.raft
    return RaftSettings(
        heartbeat_interval_s=timing.heartbeat_s,
        election_timeout_min_s=timing.election_min_s,
        election_timeout_max_s=timing.election_max_s,
        lease_reads=timing.reads == "lease",
        lease_margin=timing.lease_margin,
    )


def _gossip_settings(config: Config) -> GossipSettings:
    timing = config.gossip
    return GossipSettings(
        probe_interval_s=timing.probe_interval_s,
        probe_timeout_max_s=timing.probe_timeout_s,
        indirect_probes=timing.indirect_probes,
        suspicion_max_s=timing.suspicion_s,
        suspicion_min_s=timing.suspicion_s / 2,
        compress_exchanges=timing.compress,
    )


async def _offered(config: Config, runtime: Runtime) -> Resources:
    """What this node offers to tasks: what the runtime reports, or what the configuration says instead."""
    capacity = await runtime.capacity()
    return Resources(
        cpus=config.resources.cpus or capacity.cpus, memory_bytes=config.resources.memory or capacity.memory_bytes
    )
