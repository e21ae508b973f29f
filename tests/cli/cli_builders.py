"""Real little servers that answer the command line as a peer would."""

import socket
import struct
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


class RawPeer:
    """Answers every request with the same bytes, whatever they are, and then closes the connection."""

    def __init__(self, answer: bytes, reset: bool = False) -> None:
        self.asked: list[str] = []
        """The first lines of the requests."""
        self._answer, self._reset = answer, reset
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as sent:
                self.asked.append(sent.readline().decode().rpartition(" ")[0])
                length = 0
                while (header := sent.readline().strip()) != b"":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.partition(b":")[2])
                sent.read(length)
                connection.sendall(self._answer)
                if self._reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def an_answer(status: int, body: str, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    return head.encode() + body.encode()
