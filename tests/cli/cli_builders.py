"""Real little servers that answer the command line as a peer would."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class JsonAnswers(BaseHTTPRequestHandler):
    def reply(self, body: str) -> None:
        self.send_response(200)
        self.send_header("Swarmlet-Revision", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def asked_by_the_command(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("SWARMLET_ADDR", f"127.0.0.1:{server.server_address[1]}")
    yield
    server.shutdown()
    server.server_close()
