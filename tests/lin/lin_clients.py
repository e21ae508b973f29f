"""Clients of a real cluster over HTTP: each asks, repeats with the same request id until told, and writes it down.

A client has one operation under way. What it gives up may still happen. It asks any agent, through that agent's own
socket, so that also an agent whose links are cut is asked.
"""

import http.client
import threading
import time
from random import Random

from lin_checker import UNKNOWN, Operation
from lin_register import Read, Swap, Value, Write

from lab.cluster import Agent, unix_connection

ANSWER_WITHIN_S, GIVE_UP_S = 2.0, 8.0
PAUSE_S = 0.05


class HttpClient(threading.Thread):
    """Its history may be read once it has ended."""

    def __init__(self, name: str, agents: list[Agent], keys: list[str], seed: int, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.history: list[Operation] = []
        self.answered_at = 0.0
        self._agents, self._keys, self._end = agents, keys, stop
        self._rng = Random(seed)
        self._sequence = 0
        self._seen: dict[str, tuple[Value, int]] = dict.fromkeys(keys, (None, 0))
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def run(self) -> None:
        while not self._end.is_set():
            self._operate()
            self._end.wait(self._rng.uniform(0, 0.02))
        for connection in self._connections.values():
            connection.close()

    def _operate(self) -> None:
        self._sequence += 1
        key = self._rng.choice(self._keys)
        new: Value = f"{self.name}.{self._sequence}"
        value, revision = self._seen[key]
        headers = {"Swarmlet-Request": f"{self.name}:{self._sequence}"}
        action: Read | Write | Swap
        match self._rng.choice(("read", "read", "write", "swap", "swap", "delete")):
            case "read":
                action, method, body = Read(), "GET", None
            case "write":
                action, method, body = Write(new), "PUT", new
            case "delete":
                action, method, body = Write(None), "DELETE", None
            case _:
                action, method, body = Swap(value, new), "PUT", new
                headers |= {"If-Match": str(revision)} if revision else {"If-None-Match": "*"}
        called_at = time.monotonic()
        outcome = self._outcome(method, key, body, headers, called_at + GIVE_UP_S)
        if outcome is UNKNOWN and action == Read():
            return
        operation = Operation(self.name, key, action, outcome, called_at, time.monotonic())
        self.history.append(operation)
        if outcome is not UNKNOWN:
            self.answered_at = operation.returned_at

    def _outcome(self, method: str, key: str, body: Value, headers: dict[str, str], deadline: float) -> object:
        """Of one operation, whichever agent tells it."""
        while time.monotonic() < deadline and not self._end.is_set():
            agent = self._rng.choice(self._agents)
            told = self._ask(agent, method, key, body, headers)
            if told is not None:
                status, text, tag = told
                match method, status:
                    case "GET", 200:
                        self._seen[key] = (text, tag)
                        return text
                    case "GET", 404:
                        self._seen[key] = (None, 0)
                        return None
                    case "PUT" | "DELETE", 200:
                        self._seen[key] = (body, tag)
                        return True
                    case "PUT", 412:
                        return False
                assert status >= 500 or status == 429, f"{method} {key}: {status} {text}"
            self._end.wait(PAUSE_S)
        return UNKNOWN

    def _ask(
        self, agent: Agent, method: str, key: str, body: Value, headers: dict[str, str]
    ) -> tuple[int, str, int] | None:
        """Status, text and revision; None where no answer came."""
        connection = self._connections.setdefault(agent.name, unix_connection(agent.socket, ANSWER_WITHIN_S))
        path = f"/v1/kv/{key}" + ("?consistency=linearizable" if method == "GET" else "")
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        return response.status, text, int(response.headers.get("ETag", '"0"').strip('"'))
