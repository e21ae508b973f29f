"""A host: a network namespace with its own Podman, or a loopback address where neither is to be had.

Both can start a program on the host, vanish (as by a power cut) and come back.
"""

import ipaddress
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from lab import image
from lab.workspace import Workspace, end_process, end_supervised, run, start_time

PODMAN_PACKAGES = (
    "podman",
    "runc",
    "netavark",
    "aardvark-dns",
    "iptables",
    "busybox-static",
    "nftables",
    "iproute2",
    "conmon",
)
SOCKET_DEADLINE_S = 20.0
DROP_TABLE = "swarmlet_lab"
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""


def why_no_links() -> str | None:
    """None where hosts with links that can be cut can be made; else what is missing."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    missing = [tool for tool in ("ip", "nsenter") if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}: apt-get install iproute2 util-linux" if missing else None


def why_no_namespaces() -> str | None:
    """None where hosts with Podman can be made; else what is missing and how to get it."""
    if os.geteuid() != 0:
        return "needs root for network namespaces and Podman: run it with sudo, or use the process runtime"
    missing = [tool for tool in ("podman", "runc", "nft", "ip") if shutil.which(tool) is None]
    if not image.BUSYBOX.exists():
        missing.append("busybox-static")
    if missing:
        return f"needs {', '.join(missing)}: apt-get install {' '.join(PODMAN_PACKAGES)}"
    return None


class Host:
    """What both kinds have in common: a name, an address, a directory, and its long-running processes."""

    runtime: str

    def __init__(self, workspace: Workspace, index: int, address: str) -> None:
        self.workspace = workspace
        self.index = index
        self.name = f"node{index}"
        self.address = address
        self.directory = workspace.path / self.name
        self.directory.mkdir()
        self.directory.chmod(0o755)

    def start(
        self, argv: list[str], log: str, env: dict[str, str] | None = None, engine: bool = False
    ) -> subprocess.Popen[bytes]:
        return self.workspace.spawn([*self.enter(), *argv], self.directory / log, env=env, engine=engine)

    def enter(self) -> list[str]:
        """The words to put before a command so that it runs on this host."""
        return []

    def settings(self) -> dict[str, str]:
        """Configuration keys of an agent that are this host's own."""
        raise NotImplementedError

    def power_off(self) -> None:
        raise NotImplementedError

    def power_on(self) -> None:
        raise NotImplementedError


class NamespaceHost(Host):
    runtime = "podman"

    def __init__(self, workspace: Workspace, index: int, network: "Network", archive: Path) -> None:
        super().__init__(workspace, index, network.address(index))
        self._network = network
        self.namespace = f"{network.tag}n{index}"
        self.link = f"{network.tag}v{index}"
        self.socket = self.directory / "podman.sock"
        self._archive = archive
        self._service: subprocess.Popen[bytes] | None = None
        self._make_namespace()
        self.workspace.record("podman", remote=self.podman())
        self._start_podman()
        run(*self.podman(), "import", str(archive), image.NAME)

    def enter(self) -> list[str]:
        # Not `ip netns exec`: it mounts /sys anew, and the OCI runtime then finds no cgroups.
        return ["nsenter", f"--net=/run/netns/{self.namespace}"]

    def podman(self) -> list[str]:
        """The words before a Podman command for this host's own engine, called from outside."""
        return ["podman", "--remote", "--url", f"unix://{self.socket}"]

    def settings(self) -> dict[str, str]:
        return {"runtime.kind": "podman", "runtime.podman_socket": f"unix://{self.socket}"}

    def power_off(self) -> None:
        """The machine vanishes: nobody hears from it again, and nothing on it lives on."""
        self.cut()
        run(*self.podman(), "kill", "--all", check=False)
        if self._service is not None:
            end_process(self._service.pid, start_time(self._service.pid))
            self._service.wait()
            self._service = None

    def power_on(self) -> None:
        self.heal()
        self._start_podman()

    def cut(self) -> None:
        run("ip", "link", "set", self.link, "down")

    def heal(self) -> None:
        run("ip", "link", "set", self.link, "up")

    def drop(self, *filters: str) -> None:
        """Lose the packets that match, in both directions; each filter is nftables' words with `PEER` as `addr`.

        `drop("ip PEER 10.77.0.2", "ip PEER 10.77.0.3 udp dport 8421")` cuts one host off, and another's datagrams.
        """
        chains = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; policy accept; {rules} }}\n"
            for hook, word in (("input", "saddr"), ("output", "daddr"))
            for rules in [" ".join(f"{each.replace('PEER', word)} drop;" for each in filters)]
        )
        run(*self.enter(), "nft", f"table inet {DROP_TABLE} {{\n{chains}}}")

    def undrop(self) -> None:
        run(*self.enter(), "nft", "delete", "table", "inet", DROP_TABLE)

    def _make_namespace(self) -> None:
        self.workspace.record("netns", name=self.namespace)
        self.workspace.record("link", name=self.link)
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "link", "set", self.link, "master", self._network.bridge, "up")
        inside = ("ip", "-n", self.namespace)
        run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", self._network.gateway)

    def _start_podman(self) -> None:
        conf = self.directory / "containers.conf"
        conf.write_text(CONTAINERS_CONF)
        self.socket.unlink(missing_ok=True)
        where = self.directory
        # A mount namespace of its own: each engine needs a private /run/containers, keeps its containers' network
        # namespaces in /run/netns, and all of these mounts end with it.
        script = (
            "mkdir -p /run/containers /run/netns && mount -t tmpfs tmpfs /run/containers && "
            "mount -t tmpfs tmpfs /run/netns && "
            f"exec podman --root {where}/root --runroot {where}/run --tmpdir {where}/tmp "
            f"--network-config-dir {where}/net system service --time=0 unix://{self.socket}"
        )
        self._service = self.start(
            ["unshare", "-m", "sh", "-c", script],
            "podman.log",
            env={**os.environ, "CONTAINERS_CONF": str(conf)},
            engine=True,
        )
        deadline = time.monotonic() + SOCKET_DEADLINE_S
        while not self.socket.exists():
            if time.monotonic() > deadline or self._service.poll() is not None:
                raise RuntimeError(f"Podman did not start: {(where / 'podman.log').read_text()}")
            time.sleep(0.01)


class LinkedHost(NamespaceHost):
    """A network namespace whose link can be cut, with plain processes in it: made in a moment, for root only."""

    runtime = "process"

    def __init__(self, workspace: Workspace, index: int, network: "Network") -> None:
        Host.__init__(self, workspace, index, network.address(index))
        self._network = network
        self.namespace = f"{network.tag}n{index}"
        self.link = f"{network.tag}v{index}"
        workspace.record("state", path=str(self.directory))
        image.build_directory(self.directory / "images")
        self._make_namespace()

    def settings(self) -> dict[str, str]:
        return {"runtime.kind": "process", "runtime.images_dir": str(self.directory / "images")}

    def power_off(self) -> None:
        self.cut()
        end_supervised(self.directory)

    def power_on(self) -> None:
        self.heal()


class LoopbackHost(Host):
    """A host for anybody: 127.0.0.N, plain processes, no isolation."""

    runtime = "process"

    def __init__(self, workspace: Workspace, index: int) -> None:
        super().__init__(workspace, index, f"127.0.0.{index}")
        workspace.record("state", path=str(self.directory))
        image.build_directory(self.directory / "images")

    def settings(self) -> dict[str, str]:
        return {
            "address": f"{self.address}:8421",
            "api.listen": f"{self.address}:8420",
            "proxy.listen_address": self.address,
            "runtime.kind": "process",
            "runtime.images_dir": str(self.directory / "images"),
        }

    def power_off(self) -> None:
        end_supervised(self.directory)

    def power_on(self) -> None:
        return


class Network:
    """A bridge in the root namespace that the hosts hang on; the first /24 of 10.77 that is free."""

    def __init__(self, workspace: Workspace) -> None:
        taken = {
            ipaddress.ip_address(info["local"])
            for link in json.loads(run("ip", "-j", "addr"))
            for info in link.get("addr_info", [])
        }
        self.subnet = next(number for number in range(256) if ipaddress.ip_address(f"10.77.{number}.254") not in taken)
        self.tag = f"sw{self.subnet}"
        self.bridge = f"{self.tag}br"
        self.gateway = self.address(254)
        workspace.record("link", name=self.bridge)
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.gateway}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def address(self, index: int) -> str:
        return f"10.77.{self.subnet}.{index}"


def make_hosts(workspace: Workspace, count: int, runtime: str) -> list[Host]:
    if runtime == "process":
        return [LoopbackHost(workspace, index) for index in range(1, count + 1)]
    network = Network(workspace)
    if runtime == "linked":
        return [LinkedHost(workspace, index, network) for index in range(1, count + 1)]
    archive = workspace.path / "image.tar"
    image.build_archive(archive)
    return [NamespaceHost(workspace, index, network, archive) for index in range(1, count + 1)]
