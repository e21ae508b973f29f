"""Probes over streams, for the gossip core: a peer that no datagram reached is asked, and its host knocked at.

The answer must be the agent's own: the kernel takes a connection for a process that stands still. What each of the two
finds is told at once, since it counts only before the probe's end.
"""

import asyncio
from collections.abc import Callable

import structlog

from swarmlet.gossip import ProbeStream, StreamOutcome, StreamProbed
from swarmlet.model.ids import NodeId
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError, takes_connections

PROBE = "gossip.probe"
PROBES_MAX = 64
"""Under way at once; further ones count as unanswered."""

log = structlog.get_logger()


class StreamProbes:
    def __init__(self, network: PeerNetwork, tell: Callable[[StreamProbed], None]) -> None:
        self._network, self._tell = network, tell
        self._probes: set[asyncio.Task[None]] = set()
        network.on_call(PROBE, self._on_probe)

    def begin(self, probe: ProbeStream) -> None:
        if len(self._probes) >= PROBES_MAX:
            self._tell(StreamProbed(probe.probe, StreamOutcome.SILENT))
            return
        task = asyncio.create_task(self._probe(probe))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def close(self) -> None:
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def _probe(self, probe: ProbeStream) -> None:
        knocking = asyncio.create_task(self._knock(probe))
        try:
            outcome = await self._ask(probe)
            self._tell(StreamProbed(probe.probe, outcome))
            if outcome is StreamOutcome.SILENT:
                await knocking
        finally:
            knocking.cancel()
            await asyncio.gather(knocking, return_exceptions=True)

    async def _ask(self, probe: ProbeStream) -> StreamOutcome:
        try:
            await self._network.call(probe.node_id, PROBE, b"", probe.timeout_s)
        except PeerUnavailable as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            return StreamOutcome.REFUSED if refused else StreamOutcome.SILENT
        except PeerTimeout:
            return StreamOutcome.SILENT
        except RemoteError as error:
            # An agent that does not know the question lives as well.
            log.debug("gossip_probe_refused", node=probe.node_id, error=str(error))
        log.warning("node_answers_streams_only", node=probe.node_id, address=str(probe.address))
        return StreamOutcome.ANSWERED

    async def _knock(self, probe: ProbeStream) -> None:
        try:
            taken = await takes_connections(probe.address, probe.timeout_s)
        except ConnectionRefusedError:
            self._tell(StreamProbed(probe.probe, StreamOutcome.REFUSED))
        else:
            if taken:
                self._tell(StreamProbed(probe.probe, StreamOutcome.ACCEPTED))

    async def _on_probe(self, _sender: NodeId, _payload: bytes) -> bytes:
        return b""
