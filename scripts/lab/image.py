"""The demo's image, made from Debian's static busybox: no registry is asked for anything.

`web` answers every request with the task and the node that answered; `counter` counts in its log. The same two
commands exist as plain programs for hosts without Podman, in a directory that the process runtime takes as image.
"""

import io
import tarfile
from pathlib import Path

NAME = "swarmlet-demo:latest"
BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "httpd", "sleep", "cat", "echo", "kill", "ls", "wget", "true", "false", "printf", "env", "nc", "date")

WEB_SH = b"""#!/bin/sh
# The applet runs /www/cgi-bin/index.cgi for '/', which tells who answered.
exec httpd -f -p "${PORT:-8080}" -h /www
"""
INDEX_CGI = b"""#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "$SWARMLET_TASK $SWARMLET_NODE_NAME"
"""
COUNTER_SH = b"""#!/bin/sh
n=0
trap 'exit 0' TERM
while :; do n=$((n + 1)); echo "count $n on $SWARMLET_NODE_NAME"; sleep 1 & wait $!; done
"""
WEB_PY = b"""#!/usr/bin/env python3
import http.server, os

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['SWARMLET_TASK']} {os.environ['SWARMLET_NODE_NAME']}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


def build_archive(path: Path) -> None:
    """A root file system for `podman import`."""
    with tarfile.open(path, "w") as archive:
        for directory in ("bin", "tmp", "proc", "sys", "dev", "etc", "www", "www/cgi-bin"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in (
            ("bin/busybox", BUSYBOX.read_bytes()),
            ("bin/web", WEB_SH),
            ("bin/counter", COUNTER_SH),
            ("www/cgi-bin/index.cgi", INDEX_CGI),
            ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/bin/busybox"
            archive.addfile(entry)


def build_directory(images: Path) -> None:
    """The same image for the process runtime: a directory with a `bin/`."""
    programs = images / NAME.replace(":", "/") / "bin"
    programs.mkdir(parents=True)
    for name, content in (("web", WEB_PY), ("counter", COUNTER_SH)):
        (programs / name).write_bytes(content)
        (programs / name).chmod(0o755)
