"""A Podman engine of its own for tests: private storage, network book and socket, gone without a trace at the end.

Rules:
- Nothing of the machine's own Podman is read or written: storage, run and temporary folders, network
  configuration, `/run/containers` and `/run/netns` (tmpfs in a private mount namespace) belong to the engine
  started here. A small process holds that namespace, as containers outlive a service that is killed.
- It is ended by its process id, after its containers were removed through it: their monitors (conmon) outlive
  the service otherwise.
- Where it can't work (no root, no Podman), `missing()` says why and how to get it.

No registry is needed: the test image is a tar of the static busybox with a link for each applet.
"""

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from podman import PodmanClient
from podman.errors import PodmanError

TEST_IMAGE = "localhost/swarmlet-test:1"
BUSYBOX = Path("/bin/busybox")
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0

# runc: crun 1.8 refuses hybrid cgroups. The limits: a root without CAP_SYS_RESOURCE may not raise its own.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
events_logger = "file"
"""

HOW_TO_GET_THEM = "apt-get install podman runc netavark aardvark-dns busybox-static conmon catatonit"


def missing() -> str:
    """Why no engine can be started here; empty when one can."""
    if os.geteuid() != 0:
        return "needs root: run the tests as root to have the Podman runtime tested"
    absent = [tool for tool in ("podman", "runc", "conmon", "unshare", "nsenter") if shutil.which(tool) is None]
    if not BUSYBOX.exists():
        absent.append(str(BUSYBOX))
    return f"needs {', '.join(absent)}: {HOW_TO_GET_THEM}" if absent else ""


@dataclass(slots=True)
class PodmanService:
    """One `podman system service`, which can be killed and started again while its containers run."""

    folder: Path
    net_namespace: Path | None = None
    """A named network namespace (`/run/netns/NAME`) for the engine and its containers; None: the machine's."""
    process: subprocess.Popen[bytes] | None = None
    holder: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        return self.folder / "podman.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"

    def start(self) -> None:
        """Start the service and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "containers.conf"
        conf.write_text(CONTAINERS_CONF)
        self._hold_namespace()
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._argv(),
                env={**os.environ, "CONTAINERS_CONF": str(conf)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"podman did not start: {(self.folder / 'service.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def client(self) -> PodmanClient:
        return PodmanClient(base_url=self.url, timeout=30)

    def kill(self) -> None:
        """The engine vanishes; its containers stay."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_DEADLINE_S)
            self.process = None

    def close(self) -> None:
        """Remove all containers, end the service, and remove what it left on disk."""
        try:
            if self.process is None and self.holder is not None:
                self.start()
            if self.process is not None:
                self.remove_containers()
        finally:
            self.kill()
            if self.holder is not None:
                self.holder.kill()
                self.holder.wait(STOP_DEADLINE_S)
            shutil.rmtree(self.folder, ignore_errors=True)

    def remove_containers(self) -> None:
        with self.client() as client:
            for container in client.api.get("/containers/json", params={"all": True}).json():
                client.api.delete(
                    f"/containers/{container['Id']}", params={"force": True, "timeout": 0, "v": True}, timeout=30
                )

    def load_test_image(self) -> None:
        """Busybox as `TEST_IMAGE`: `sh`, `httpd`, `nc`, `sleep` and the rest; `/www` is there to be served."""
        with self.client() as client:
            response = client.api.post(
                "/images/import",
                params={"reference": TEST_IMAGE, "changes": ["ENV PATH=/bin", 'CMD ["/bin/sleep", "3600"]']},
                data=_busybox_tar(),
                headers={"Content-Type": "application/x-tar"},
                timeout=60,
            )
            response.raise_for_status()

    def _hold_namespace(self) -> None:
        if self.holder is not None:
            return
        private = " && ".join(f"mkdir -p {at} && mount -t tmpfs tmpfs {at}" for at in ("/run/containers", "/run/netns"))
        enter = ["nsenter", f"--net={self.net_namespace}"] if self.net_namespace else []
        self.holder = subprocess.Popen(
            [*enter, "unshare", "-m", "sh", "-c", f"{private} && echo ready && exec sleep infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.holder.stdout is not None
        with self.holder.stdout as said:
            if said.readline() != b"ready\n":
                raise RuntimeError("no private mount namespace could be made: it needs CAP_SYS_ADMIN")

    def _argv(self) -> list[str]:
        assert self.holder is not None
        folder = self.folder
        return [
            *("nsenter", f"--target={self.holder.pid}", "--mount", "--net"),
            *("podman", f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/tmp"),
            *(f"--network-config-dir={folder}/net", "--log-level=error", "system", "service", "--time=0", self.url),
        ]

    def _answers(self) -> bool:
        try:
            # podman-py leaves its socket open when nobody listens (yet).
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket_path))
            with self.client() as client:
                return bool(client.ping())
        except (requests.RequestException, PodmanError, OSError):
            return False


@contextlib.contextmanager
def podman_service(folder: Path, net_namespace: Path | None = None) -> Iterator[PodmanService]:
    """An engine with the test image loaded, removed at the end whatever happens."""
    service = PodmanService(folder, net_namespace)
    try:
        service.start()
        service.load_test_image()
        yield service
    finally:
        service.close()


def _busybox_tar() -> bytes:
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "tmp", "www", "etc"):
            archive.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        program = BUSYBOX.resolve().read_bytes()
        _add(archive, "bin/busybox", program, 0o755)
        _add(archive, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
        _add(archive, "www/index.html", b"hello\n", 0o644)
        for applet in sorted(set(applets) - {"busybox"}):
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            archive.addfile(link)
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
