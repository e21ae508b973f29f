"""The engine's own pods: containers that share one network.

Rules:
- A pod is made when its first container is, and removed after its last one. It shares the network alone; what holds
  that is a container of the engine's (of its own `catatonit`, no image is fetched), started with whichever comes first.
- Making a container in a pod and removing the pod exclude each other, pod by pod.
- A pod's labels are not those of containers: the engine hands them on to its own container, which is none of ours.
- What an agent that was killed in between left empty is removed by the next one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.runtime.podman.engine import Engine, EngineRefused, Params

POD_CLUSTER_LABEL = "io.swarmlet.pod.cluster"
POD_NODE_LABEL = "io.swarmlet.pod.node"
_GONE = 404
_THERE_ALREADY = 409

log = structlog.get_logger()


class Pods:
    def __init__(self, engine: Engine, cluster: str, node_id: NodeId, network: str) -> None:
        self._engine = engine
        self._cluster = cluster
        self._node_id = node_id
        self._network = network
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._swept = False

    @asynccontextmanager
    async def present(self, pod: str) -> AsyncIterator[str]:
        """The pod's name in the engine, where it stays for the length of the block. Raises `EngineRefused`."""
        name = f"{pod}-{self._node_id}"  # several nodes may use one engine
        async with self._lock(name):
            if (await self._engine.call("GET", f"/pods/{name}/exists", accept=(_GONE,))).status == _GONE:
                await self._engine.call("POST", "/pods/create", body=self._payload(name), accept=(_THERE_ALREADY,))
            try:
                yield name
            except EngineRefused:
                await self._drop_if_empty(name)
                raise

    async def left(self, pod_id: str) -> None:
        """A container of it was removed: was it the last? Raises `EngineRefused`."""
        found = await self._inspect(pod_id)
        if found is not None and found["Name"].endswith(f"-{self._node_id}"):
            async with self._lock(found["Name"]):
                await self._drop_if_empty(found["Name"])

    async def sweep(self) -> None:
        """Pods without a container of theirs, once. One that can't be removed holds nothing up; it is tried again."""
        if self._swept:
            return
        labels = [f"{POD_CLUSTER_LABEL}={self._cluster}", f"{POD_NODE_LABEL}={self._node_id}"]
        params: Params = {"filters": json.dumps({"label": labels})}
        try:
            for pod in (await self._engine.call("GET", "/pods/json", params)).json() or []:
                async with self._lock(pod["Name"]):
                    await self._drop_if_empty(pod["Name"])
        except EngineRefused as refused:
            log.warning("empty_pods_left", reason=refused.message)
        else:
            self._swept = True

    async def _drop_if_empty(self, name: str) -> None:
        found = await self._inspect(name)
        if found is None:
            return
        others = [each for each in found.get("Containers") or () if each["Id"] != found["InfraContainerID"]]
        if not others:
            try:
                await self._engine.call("DELETE", f"/pods/{name}")
            except EngineRefused as refused:
                if not _is_gone(refused):
                    raise

    async def _inspect(self, pod: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = (await self._engine.call("GET", f"/pods/{pod}/json")).json()
        except EngineRefused as refused:
            if _is_gone(refused):
                return None
            raise
        return found

    def _payload(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "labels": {POD_CLUSTER_LABEL: self._cluster, POD_NODE_LABEL: self._node_id},
            "shared_namespaces": ["net"],
            "netns": {"nsmode": "bridge"},
            "Networks": {self._network: {}},
        }

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock


def _is_gone(refused: EngineRefused) -> bool:
    """One that goes while it is looked at is told with another status."""
    return refused.status == _GONE or "no such pod" in refused.message
