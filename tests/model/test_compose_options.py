"""Keys that become options of containers: each is read in every form that Compose allows."""

from typing import Any

import pytest
from compose_builders import a_file, a_template, the_warnings

from swarmlet.model.container import (
    ContainerOptions,
    Device,
    Logging,
    Namespace,
    NetworkMode,
    PullPolicy,
    Security,
    Ulimit,
)

NULL = Device(source="/dev/null", target="/dev/null")
CDI = Device(source="vendor.com/class=one", target="vendor.com/class=one")
READ = [
    # (keys of the service, the option, its value)
    ("init: true", "init", True),
    ("hostname: web-1", "hostname", "web-1"),
    ("domainname: example.org", "domainname", "example.org"),
    ("extra_hosts: ['db:10.0.0.9', 'v6=::1', 'v6b=[::2]']", "extra_hosts", ("db:10.0.0.9", "v6:::1", "v6b:::2")),
    ("extra_hosts: {db: [10.0.0.9, 10.0.0.8], me: host-gateway}", "extra_hosts", None),
    ("dns: 8.8.8.8", "dns", ("8.8.8.8",)),
    ("dns: [8.8.8.8, '::1']", "dns", ("8.8.8.8", "::1")),
    ("dns_search: example.org", "dns_search", ("example.org",)),
    ("dns_search: ['.']", "dns_search", (".",)),
    ("dns_opt: [ndots:2, use-vc]", "dns_options", ("ndots:2", "use-vc")),
    ("network_mode: host", "network", NetworkMode.HOST),
    ("network_mode: none", "network", NetworkMode.NONE),
    ("network_mode: bridge", "network", NetworkMode.BRIDGE),
    ("pid: host", "host_namespaces", (Namespace.PID,)),
    ("ipc: host\nuts: host", "host_namespaces", (Namespace.IPC, Namespace.UTS)),
    ("userns_mode: host\ncgroup: host", "host_namespaces", (Namespace.USER, Namespace.CGROUP)),
    ("ipc: shareable\ncgroup: private", "host_namespaces", ()),
    ("ulimits: {nproc: 65535}", "ulimits", (Ulimit(name="nproc", soft=65535, hard=65535),)),
    ("ulimits: {core: -1, nofile: {soft: 20, hard: '40'}}", "ulimits", None),
    ("sysctls: {net.core.somaxconn: 1024}", "sysctls", {"net.core.somaxconn": "1024"}),
    ("sysctls: [net/ipv4/ip_forward=1]", "sysctls", {"net.ipv4.ip_forward": "1"}),
    ("devices: [/dev/null]", "devices", (NULL,)),
    ("devices: ['/dev/null:r']", "devices", (NULL.model_copy(update={"permissions": "r"}),)),
    ("devices: ['/dev/null:/dev/x:rw']", "devices", (Device(source="/dev/null", target="/dev/x", permissions="rw"),)),
    ("devices: [vendor.com/class=one]", "devices", (CDI,)),
    ("devices: [{source: vendor.com/class=one}]", "devices", (CDI,)),
    ("devices: [{source: /dev/null, permissions: m}]", "devices", (NULL.model_copy(update={"permissions": "m"}),)),
    ("group_add: [mail, 1000]", "group_add", ("mail", "1000")),
    ("privileged: true", "privileged", True),
    ("security_opt: ['no-new-privileges:true']", "security", Security(no_new_privileges=True)),
    ("security_opt: ['no-new-privileges:false']", "security", Security()),
    ("security_opt: ['seccomp:unconfined']", "security", Security(seccomp="unconfined")),
    ("security_opt: [apparmor=mine, 'label=type:x']", "security", Security(apparmor="mine", selinux=("type:x",))),
    ("security_opt: ['mask=/a:/b', 'unmask=/c']", "security", Security(mask=("/a", "/b"), unmask=("/c",))),
    ("security_opt: [systempaths=unconfined]", "security", Security(unmask=("ALL",))),
    ("shm_size: 64m", "shm_size_bytes", 64 << 20),
    ("cpu_shares: 512", "cpu_shares", 512),
    ("cpuset: 0-3,5", "cpuset", "0-3,5"),
    ("oom_score_adj: -500", "oom_score_adj", -500),
    ("stop_signal: SIGINT", "stop_signal", 2),
    ("stop_signal: usr1", "stop_signal", 10),
    ("stop_signal: 9", "stop_signal", 9),
    ("stop_signal: SIGRTMIN+3", "stop_signal", 37),
    ("tty: true", "tty", True),
    ("stdin_open: true", "stdin_open", True),
    ("annotations: {a: b}", "annotations", {"a": "b"}),
    ("annotations: [a=b, c]", "annotations", {"a": "b", "c": ""}),
    ("logging: {driver: json-file, options: {max-size: 1m}}", "logging", Logging(size_bytes_max=1 << 20)),
    ("logging: {driver: none}", "logging", Logging(driver="none")),
    ("logging:", "logging", Logging()),
]
LONG = {
    "extra_hosts": ("db:10.0.0.9", "db:10.0.0.8", "me:host-gateway"),
    "ulimits": (Ulimit(name="core", soft=-1, hard=-1), Ulimit(name="nofile", soft=20, hard=40)),
}


@pytest.mark.parametrize(("keys", "option", "value"), READ, ids=[keys for keys, _, _ in READ])
def test_an_option_is_read(keys: str, option: str, value: Any) -> None:
    options = a_template(keys).options

    assert getattr(options, option) == (LONG[option] if value is None else value)
    rest = options.model_copy(update={option: getattr(ContainerOptions(), option)})
    assert rest == ContainerOptions()


def test_every_option_has_a_case_here() -> None:
    assert {option for _, option, _ in READ} == set(ContainerOptions.model_fields)


@pytest.mark.parametrize(
    ("keys", "policy"),
    [
        ("pull_policy: missing", PullPolicy.MISSING),
        ("pull_policy: if_not_present", PullPolicy.MISSING),
        ("pull_policy: always", PullPolicy.ALWAYS),
        ("pull_policy: never", PullPolicy.NEVER),
    ],
)
def test_a_pull_policy_is_read(keys: str, policy: PullPolicy) -> None:
    assert a_template(keys).pull_policy is policy


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ("pull_policy: build", "services.web.pull_policy: images are not built here, taken as 'missing'"),
        ("pull_policy: every_12h", "services.web.pull_policy: 'every_12h' is taken as 'always'"),
        ("logging: {driver: syslog}", "services.web.logging.driver: 'syslog' is not used: output is kept on its node"),
        ("logging: {options: {max-file: 3}}", "services.web.logging.options.max-file: has no effect, only max-size"),
        ("logging: {options: {max-size: 1g}}", "no more than 10m of a task's output are kept"),
        ("ports: ['53:53/udp']", "services.web.ports[0]: udp is not carried by swarmlet's proxies (yet)"),
        ("ports: [{target: 5, published: 5, protocol: sctp}]", "sctp is not carried"),
        ("volumes: ['/a:/b:z']", "the option z has no effect, the path keeps its label"),
        ("networks: {default: {aliases: [www]}}", "services.web.networks: separate nothing here (yet)"),
    ],
)
def test_what_is_taken_otherwise_than_written_is_said(keys: str, part: str) -> None:
    (warning,) = the_warnings(a_file(keys))

    assert part in warning


def test_a_udp_port_is_left_out() -> None:
    from compose_builders import parse

    ports = parse(a_file("ports: ['53:53/udp', '80:80']")).spec.services["web"].template.ports

    assert [port.target for port in ports] == [80]


def test_older_keys_mean_what_deploy_means() -> None:
    older = a_template("cpus: 0.5\nmem_limit: 64m\npids_limit: 50\nmem_reservation: 32m")
    newer = a_template("deploy: {resources: {limits: {cpus: 0.5, memory: 64m, pids: 50}, reservations: {memory: 32m}}}")

    assert older == newer
    assert older.limits.pids == 50


def test_mounts_take_permissions_and_propagation() -> None:
    mounts = a_template(
        "volumes:\n"
        "  - {type: tmpfs, target: /t, tmpfs: {mode: 01777, size: 1m}}\n"
        "  - {type: bind, source: /a, target: /b, bind: {propagation: rslave}}\n"
        "  - /c:/d:ro,shared\n"
        "tmpfs: /run:size=1m,mode=755"
    ).mounts

    assert [mount.mode for mount in mounts] == [0o1777, 0, 0, 0o755]
    assert [mount.propagation for mount in mounts] == ["", "rslave", "shared", ""]
    assert mounts[2].read_only


def test_labels_come_from_files_too() -> None:
    template = a_template("label_file: [a.labels]\nlabels: {tier: front}", files={"a.labels": "tier=back\nteam=a\n"})

    assert template.labels == {"tier": "front", "team": "a"}
