"""A steady stream of HTTP requests, each over a connection of its own, and an honest count of what became of them.

    python -m lab.load --rate 500 --seconds 60 10.0.0.1:8080 10.0.0.2:8080 …

Open loop: requests are sent when they are due, whether or not earlier ones have been answered, to the addresses in
turn. SIGTERM ends it early. It then waits for what is out and prints one JSON object: how many were sent and answered
with 200, the first failures with their reasons, latencies, how late the sender itself was at worst, and which answers
(second words of the bodies) came first and last.
"""

import argparse
import asyncio
import json
import signal
import time
from dataclasses import dataclass, field

import uvloop

TIMEOUT_S = 30.0
"""Like a browser's or a proxy's: slow is not failed, and is said by the latencies."""
FAILURES_SHOWN_MAX = 20
TICK_S = 0.01


@dataclass
class Words:
    """When an answer was first and last seen, counted in requests sent."""

    first: int
    last: int
    count: int = 0


@dataclass
class Tally:
    sent: int = 0
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    words: dict[str, Words] = field(default_factory=dict)
    late_ms_max: float = 0.0

    def summary(self, seconds: float) -> dict[str, object]:
        ordered = sorted(self.latencies_ms) or [0.0]
        return {
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "failures": self.failures,
            "rate": round(self.sent / seconds, 1),
            "p50_ms": round(ordered[len(ordered) // 2], 1),
            "p99_ms": round(ordered[len(ordered) * 99 // 100], 1),
            "max_ms": round(ordered[-1], 1),
            "late_ms_max": round(self.late_ms_max, 1),
            "words": {word: vars(seen) for word, seen in self.words.items()},
        }


class Ask(asyncio.Protocol):
    """One request; its end is told once."""

    def __init__(self, host: str, number: int, tally: Tally, began: float) -> None:
        self._host, self._number, self._tally, self._began = host, number, tally, began
        self._sent_at = time.monotonic()
        self._answer = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(f"GET / HTTP/1.0\r\nHost: {self._host}\r\n\r\n".encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.failed(exc) if exc is not None else self._answered()

    def failed(self, why: Exception) -> None:
        after_s = time.monotonic() - self._sent_at
        _failed(self._tally, f"{self._place()}: {type(why).__name__} {why} after {after_s:.2f} s")
        self.ended.set_result(None)

    def _answered(self) -> None:
        head, _, body = self._answer.decode("latin-1").partition("\r\n\r\n")
        self.ended.set_result(None)
        if not head.startswith("HTTP/") or head.split()[1:2] != ["200"]:
            _failed(self._tally, f"{self._place()}: answered {head[:60]!r}")
            return
        tally, number = self._tally, self._number
        tally.answered += 1
        tally.latencies_ms.append((time.monotonic() - self._sent_at) * 1000)
        word = (body.split() or ["", ""])[-1]
        seen = tally.words.setdefault(word, Words(number, number))
        seen.first, seen.last, seen.count = min(seen.first, number), max(seen.last, number), seen.count + 1

    def _place(self) -> str:
        return f"at {self._sent_at - self._began:.2f} s {self._host}"


async def ask(host: str, port: int, number: int, tally: Tally, began: float) -> None:
    asked = Ask(host, number, tally, began)
    transport: asyncio.BaseTransport | None = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: asked, host, port)
            await asked.ended
    except (OSError, TimeoutError) as error:
        if not asked.ended.done():
            asked.failed(error)
    finally:
        if transport is not None:
            transport.close()


def _failed(tally: Tally, why: str) -> None:
    tally.failed += 1
    if len(tally.failures) < FAILURES_SHOWN_MAX:
        tally.failures.append(why)


async def load(targets: list[tuple[str, int]], rate: float, seconds: float) -> dict[str, object]:
    tally, ended = Tally(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        while not ended.is_set() and time.monotonic() - began < seconds:
            while (due_at := began + tally.sent / rate) <= (now := time.monotonic()):
                tally.late_ms_max = max(tally.late_ms_max, (now - due_at) * 1000)
                host, port = targets[tally.sent % len(targets)]
                group.create_task(ask(host, port, tally.sent, tally, began))
                tally.sent += 1
            await asyncio.sleep(TICK_S)
        took_s = time.monotonic() - began
    return tally.summary(took_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("targets", nargs="+", metavar="ADDRESS:PORT")
    given = parser.parse_args()
    split = (each.rpartition(":") for each in given.targets)
    targets = [(host, int(port)) for host, _, port in split]
    print(json.dumps(uvloop.run(load(targets, given.rate, given.seconds))))


if __name__ == "__main__":
    main()
