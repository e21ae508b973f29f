"""Published ports and mounts, in short and long forms."""

import pytest
from compose_builders import a_file, a_template, parse, the_warnings

from swarmlet.model.spec import Mount, MountKind, PublishedPort


def ports(*triples: tuple[str, int, int]) -> tuple[PublishedPort, ...]:
    return tuple(
        PublishedPort(host_address=host, published=published, target=target) for host, published, target in triples
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("8080:80", ports(("", 8080, 80))),
        ("8080:80/tcp", ports(("", 8080, 80))),
        ("127.0.0.1:8080:80", ports(("127.0.0.1", 8080, 80))),
        ("[::1]:8080:80", ports(("::1", 8080, 80))),
        ("'::1:8080:80'", ports(("::1", 8080, 80))),
        ("9000-9001:80-81", ports(("", 9000, 80), ("", 9001, 81))),
        ("127.0.0.1:9000-9001:80-81", ports(("127.0.0.1", 9000, 80), ("127.0.0.1", 9001, 81))),
        ("{target: 80, published: 8080}", ports(("", 8080, 80))),
        (
            "{target: 80, published: '8080', host_ip: 10.0.0.1, protocol: tcp, mode: ingress}",
            ports(("10.0.0.1", 8080, 80)),
        ),
    ],
)
def test_ports(written: str, expected: tuple[PublishedPort, ...]) -> None:
    quoted = written if written[0] in "{'" else f"'{written}'"

    assert a_template(f"ports:\n  - {quoted}").ports == expected


def test_one_number_on_two_addresses_is_no_conflict() -> None:
    assert len(a_template("ports: ['127.0.0.1:80:80', '127.0.0.2:80:80']").ports) == 2


def test_labels_of_ports_have_no_effect_and_say_so() -> None:
    warnings = the_warnings(a_file("ports:\n  - {target: 80, published: 80, name: http, app_protocol: http}"))

    assert [warning.split(": ")[1] for warning in warnings] == [
        "services.web.ports[0].name",
        "services.web.ports[0].app_protocol",
    ]


VOLUMES = """\
volumes:
  data:
  shared: {external: true}
  named: {name: own, driver: local}
  both: {external: true, name: x}
"""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("/etc/app:/etc/app:ro", Mount(kind=MountKind.BIND, source="/etc/app", target="/etc/app", read_only=True)),
        ("/a:/b:rw", Mount(kind=MountKind.BIND, source="/a", target="/b")),
        ("data:/data/", Mount(kind=MountKind.VOLUME, source="shop_data", target="/data")),
        ("shared:/d", Mount(kind=MountKind.VOLUME, source="shared", target="/d")),
        ("named:/d", Mount(kind=MountKind.VOLUME, source="own", target="/d")),
        ("both:/d", Mount(kind=MountKind.VOLUME, source="x", target="/d")),
        ("/cache", Mount(kind=MountKind.VOLUME, target="/cache")),
        ("{type: bind, source: /a, target: /b}", Mount(kind=MountKind.BIND, source="/a", target="/b")),
        (
            "{type: volume, source: data, target: /b, read_only: true}",
            Mount(kind=MountKind.VOLUME, source="shop_data", target="/b", read_only=True),
        ),
        ("{type: volume, target: /b}", Mount(kind=MountKind.VOLUME, target="/b")),
        (
            "{type: tmpfs, target: /b, tmpfs: {size: 64m}}",
            Mount(kind=MountKind.TMPFS, target="/b", size_bytes=64 * 2**20),
        ),
        ("{type: tmpfs, target: /b, tmpfs: {size: 4096}}", Mount(kind=MountKind.TMPFS, target="/b", size_bytes=4096)),
    ],
)
def test_mounts(written: str, expected: Mount) -> None:
    assert a_template(f"volumes:\n  - {written}", rest=VOLUMES).mounts == (expected,)


@pytest.mark.parametrize("written", ["/run:size=64m", "['/run:size=64m']"])
def test_tmpfs_as_string_and_as_list(written: str) -> None:
    (mount,) = a_template(f"tmpfs: {written}").mounts

    assert mount == Mount(kind=MountKind.TMPFS, target="/run", size_bytes=64 * 2**20)


def test_an_empty_volumes_section_is_none() -> None:
    assert parse(a_file(rest="volumes:\n")).warnings == ()
