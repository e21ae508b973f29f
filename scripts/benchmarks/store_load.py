"""The load generator, one process for each measurement: prints what it saw as one line of JSON.

- Closed loop: each client sends its next request when the last one is answered. This finds the saturation.
- Open loop (`--rate`): requests are due at fixed times whatever the answers do, and a latency counts from when its
  request was due; so a pause of the store is not hidden by clients that wait with it. At most as many as there are
  clients are under way; those due beyond that wait, and their waiting counts.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from itertools import count

import uvloop

from benchmarks.store_targets import CALL_TIMEOUT_S, Target, make_target

WARM_UP_S = 1.0


class Load:
    def __init__(self, target: Target, action: str, clients: int, seconds: float) -> None:
        self._target, self._action, self._clients = target, action, clients
        self._starts_at = time.perf_counter() + WARM_UP_S
        self._ends_at = self._starts_at + seconds
        self.seconds = seconds
        self.latencies_s: list[float] = []
        self.failures: list[str] = []

    async def closed(self) -> None:
        await asyncio.gather(*(self._closed_client(client) for client in range(self._clients)))

    async def open(self, rate: float) -> None:
        begins_at = time.perf_counter()
        due = (begins_at + number / rate for number in count())
        await asyncio.gather(*(self._open_client(client, due) for client in range(self._clients)))

    async def _closed_client(self, client: int) -> None:
        for number in count(1):
            sent_at = time.perf_counter()
            if sent_at >= self._ends_at:
                return
            await self._once(client, number, sent_at)

    async def _open_client(self, client: int, due: Iterator[float]) -> None:
        for number in count(1):
            due_at = next(due)
            if due_at >= self._ends_at:
                return
            if (wait_s := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            await self._once(client, number, due_at)

    async def _once(self, client: int, number: int, since: float) -> None:
        try:
            await self._act(client, number)
        except (OSError, TimeoutError) as error:
            self.failures.append(str(error))
            await asyncio.sleep(0.01)
            return
        now = time.perf_counter()
        if since >= self._starts_at and now <= self._ends_at:
            self.latencies_s.append(now - since)

    async def _act(self, client: int, number: int) -> None:
        match self._action:
            case "write":
                await self._target.write(client, number)
            case "read":
                await self._target.read(client, number, linearizable=False)
            case "read-linearizable":
                await self._target.read(client, number, linearizable=True)


async def run(options: argparse.Namespace) -> dict[str, object]:
    target = make_target(options.kind, options.hosts, options.key_file)
    await target.open(options.clients)
    load = Load(target, options.action, options.clients, options.seconds)
    async with asyncio.timeout(options.seconds + WARM_UP_S + CALL_TIMEOUT_S):
        await (load.open(options.rate) if options.rate else load.closed())
    await target.close()
    latencies = sorted(load.latencies_s) or [float("nan")]
    return {
        "per_s": len(load.latencies_s) / load.seconds,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
        "max_ms": 1000 * latencies[-1],
        "failures": len(load.failures),
        "first_failure": load.failures[0] if load.failures else "",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("http", "peer", "etcd"))
    parser.add_argument("action", choices=("write", "read", "read-linearizable"))
    parser.add_argument("hosts", nargs="+")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as many as are answered")
    parser.add_argument("--key-file", default="")
    options = parser.parse_args()
    # Its own collections of garbage would count as the store's latency.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(options))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
