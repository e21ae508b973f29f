"""A service's container and pod: each key of Compose where Kubernetes has a word for it, else a note that names it."""

import base64
import re

import pytest
from export_builders import VERSIONS, check, container, exported, noted, pod, the, web

from swarmlet.export import to_kubernetes
from swarmlet.model.spec import CommandProbe, HealthCheck, ServiceSpec, StackSpec, TaskTemplate


def test_a_program_is_command_and_args() -> None:
    found = container(
        web("entrypoint: [run, $$(X)]\ncommand: [a, b]\nworking_dir: /w\nenvironment: {A: '1', B: '$$(C)'}")
    )

    assert (found["command"], found["args"], found["workingDir"]) == (["run", "$$(X)"], ["a", "b"], "/w")
    assert found["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "$$(C)"}]


def expanded(text: str) -> str:
    """What Kubernetes makes of it where no variable is set (k8s.io/kubernetes/third_party/forked/golang/expansion)."""
    found = re.sub(r"\$(\$|\([^)]*\)|.)", lambda one: "$" if one[1] == "$" else one[0], text, flags=re.DOTALL)
    assert re.search(r"(?<!\$)(\$\$)*\$\(", text) is None, "a variable's value would be put in"
    return found


@pytest.mark.parametrize("text", ["$(A)", "$A", "$$", "$$(A)", "$$$(A)", "a$", "$(A", "${A}", "$$A$$"])
def test_programs_get_every_dollar_that_is_written(text: str) -> None:
    spec = ServiceSpec(
        name="web",
        template=TaskTemplate(
            image="x",
            entrypoint=(text,),
            command=(text,),
            environment={"A": text},
            health_check=HealthCheck(probe=CommandProbe(argv=(text,))),
        ),
    )

    found = container(to_kubernetes(StackSpec(name="shop", services={"web": spec}), reveal=True))

    probe = found["livenessProbe"]["exec"]["command"]
    words = (*found["command"], *found["args"], found["env"][0]["value"], *probe)
    assert [expanded(each) for each in words] == [text] * 4


def test_a_cleared_entrypoint_leaves_the_command_as_the_program() -> None:
    assert container(web("entrypoint: []\ncommand: [a, b]"))["command"] == ["a", "b"]
    assert noted(web("entrypoint: []")) == {"entrypoint"}


def test_a_cleared_command_is_noted_where_the_images_own_would_count() -> None:
    assert noted(web("command: []")) == {"command"}
    assert noted(web("entrypoint: [run]\ncommand: []")) == set()


def test_resources_and_gpus() -> None:
    found = web(
        """
        deploy:
          resources:
            limits: {cpus: 2.5, memory: 512m, pids: 10}
            reservations: {cpus: 2, memory: 100000001, devices: [{capabilities: [gpu], count: 2}]}
        """
    )

    assert container(found)["resources"] == {
        "limits": {"cpu": "2500m", "memory": "512Mi", "nvidia.com/gpu": "2"},
        "requests": {"cpu": "2", "memory": "100000001"},
    }
    assert noted(found) == {"deploy.resources.limits.pids", "deploy.resources.reservations.devices"}


def test_a_health_check_is_three_probes() -> None:
    found = container(
        web(
            "healthcheck: {test: [CMD, ok], interval: 2s, timeout: 1s, retries: 4, start_period: 10s,\n"
            "  start_interval: 2s}"
        )
    )

    probe = {"exec": {"command": ["ok"]}, "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 4}
    assert found["livenessProbe"] == found["readinessProbe"] == probe
    assert found["startupProbe"] == {**probe, "failureThreshold": 9}


def test_readiness_is_a_probe_of_its_own() -> None:
    found = container(
        web("x-swarmlet: {health: {tcp: {port: 80}}, readiness: {http: {port: 80, path: /r}, interval: 1500ms}}")
    )

    assert found["livenessProbe"]["tcpSocket"] == {"port": 80}
    assert found["readinessProbe"]["httpGet"] == {"path": "/r", "port": 80}
    assert found["readinessProbe"]["periodSeconds"] == 2


def test_rights() -> None:
    """Of which older versions know fewer."""
    found = web(
        """
        user: "7:8"
        group_add: ["9"]
        read_only: true
        cap_add: [NET_ADMIN]
        cap_drop: [ALL]
        sysctls: {net.core.somaxconn: 1024}
        security_opt: [no-new-privileges, seccomp=unconfined, apparmor=mine, "label=type:container_t"]
        """
    )

    check(found, VERSIONS)
    assert container(found)["securityContext"] == {
        "runAsUser": 7,
        "runAsGroup": 8,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        "seccompProfile": {"type": "Unconfined"},
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"},
        "seLinuxOptions": {"type": "container_t"},
    }
    assert pod(found)["securityContext"] == {
        "supplementalGroups": [9],
        "sysctls": [{"name": "net.core.somaxconn", "value": "1024"}],
    }


def test_the_nodes_own_namespaces_and_privileges() -> None:
    found = web("network_mode: host\npid: host\nipc: host\nprivileged: true\ntty: true\nstdin_open: true")

    assert all(pod(found)[key] for key in ("hostNetwork", "hostPID", "hostIPC"))
    assert container(found)["securityContext"] == {"privileged": True}
    assert container(found)["tty"] and container(found)["stdin"]


def test_no_new_privileges_give_way_to_privileges() -> None:
    found = web("privileged: true\nsecurity_opt: [no-new-privileges]")

    assert container(found)["securityContext"] == {"privileged": True}
    assert noted(found) == {"security_opt"}


def test_a_hostname_that_is_changed_is_noted() -> None:
    found = web("hostname: box.example.com")
    together = exported(
        """
        services:
          a: {image: x, hostname: one, x-swarmlet: {pod: p}}
          b: {image: x, hostname: two, x-swarmlet: {pod: p}}
        """
    )

    assert pod(found)["hostname"] == "box-example-com"
    assert noted(found) == {"hostname"}
    assert pod(together)["hostname"] == "one"
    assert {note.service for note in together.notes if note.key == "hostname"} == {"b"}


def test_names_and_addresses() -> None:
    found = web(
        "hostname: box\nextra_hosts: ['a:10.0.0.1', 'b:10.0.0.1', 'c:::1']\n"
        "dns: 9.9.9.9\ndns_search: x.org\ndns_opt: ['ndots:2']"
    )

    assert pod(found)["hostname"] == "box"
    assert pod(found)["hostAliases"] == [
        {"ip": "10.0.0.1", "hostnames": ["a", "b"]},
        {"ip": "::1", "hostnames": ["c"]},
    ]
    assert pod(found)["dnsConfig"] == {
        "nameservers": ["9.9.9.9"],
        "searches": ["x.org"],
        "options": [{"name": "ndots", "value": "2"}],
    }


def test_labels_that_are_too_much_for_labels_become_annotations() -> None:
    found = web("labels: {tier: front, rule: 'Host(`x`)', 'no key!': x}\nannotations: {a: any thing}")

    metadata = the(found, "Deployment")["spec"]["template"]["metadata"]
    assert metadata["labels"]["tier"] == "front"
    assert metadata["annotations"].items() >= {("rule", "Host(`x`)"), ("a", "any thing")}
    assert noted(found) == {"labels"}


@pytest.mark.parametrize(
    "key",
    [
        "init: true",
        "ulimits: {nofile: 9}",
        "oom_score_adj: 5",
        "cpu_shares: 5",
        "cpuset: '0'",
        "stop_signal: SIGINT",
        "logging: {driver: none}",
        "domainname: x",
        "user: me",
        "group_add: [me]",
        "network_mode: none",
        "uts: host",
        "cgroup: host",
        "userns_mode: host",
        "devices: [/dev/fuse]",
        "restart: on-failure",
        "dns: 9.9.9.9",
    ],
)
def test_what_can_only_be_said_in_part_is_noted_by_its_key(key: str) -> None:
    assert noted(web(key)) == {key.partition(":")[0]}


def test_mounts_of_every_kind() -> None:
    found = web(
        """
        volumes:
          - data:/data
          - /etc/ssl:/ssl:ro,rslave
          - /scratch
          - {type: tmpfs, target: /run, tmpfs: {size: 64m}}
        shm_size: 1g
        """,
        "volumes: {data: }",
    )

    volumes = {each["name"]: each for each in pod(found)["volumes"]}
    paths = {each["mountPath"]: volumes[each["name"]] for each in container(found)["volumeMounts"]}
    assert paths["/data"]["persistentVolumeClaim"] == {"claimName": "shop-data"}
    assert paths["/ssl"]["hostPath"] == {"path": "/etc/ssl"}
    assert paths["/scratch"]["emptyDir"] == {}
    assert paths["/run"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}
    assert paths["/dev/shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    (ssl,) = (each for each in container(found)["volumeMounts"] if each["mountPath"] == "/ssl")
    assert (ssl["readOnly"], ssl["mountPropagation"]) == (True, "HostToContainer")
    assert the(found, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert the(found, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_mounts_reach_the_node_from_privileged_containers_only() -> None:
    found = web("volumes: ['/mnt:/mnt:rshared']")
    privileged = web("volumes: ['/mnt:/mnt:rshared']\nprivileged: true")

    assert container(found)["volumeMounts"][0]["mountPropagation"] == "HostToContainer"
    assert len(found.notes) == len(privileged.notes) + 1
    assert container(privileged)["volumeMounts"][0]["mountPropagation"] == "Bidirectional"


def test_shared_memory_that_is_mounted_anyway_is_mounted_once() -> None:
    found = web("tmpfs: ['/dev/shm:size=64m']\nshm_size: 1g")

    assert [each["emptyDir"]["sizeLimit"] for each in pod(found)["volumes"]] == ["64Mi"]
    assert noted(found) == {"shm_size"}


def test_variables_without_a_proper_name_are_left_out() -> None:
    found = web("environment: {1A: x, A.b-c: y, 'A B': z}")

    assert [each["name"] for each in container(found)["env"]] == ["A.b-c"]
    assert noted(found) == {"environment"}


def test_what_a_pod_has_one_of_is_noted_by_those_that_share_it() -> None:
    found = exported(
        """
        services:
          a: {image: x, pid: host, sysctls: {net.core.somaxconn: 1, net.a: 1}, x-swarmlet: {pod: p}}
          b: {image: x, group_add: ["7"], sysctls: {net.core.somaxconn: 2}, x-swarmlet: {pod: p}}
        """
    )

    values = {each["name"]: each["value"] for each in pod(found)["securityContext"]["sysctls"]}
    assert values["net.core.somaxconn"] == "1"
    shared = {(note.service, note.key) for note in found.notes if "all members" in note.message}
    assert shared == {("a", "pid"), ("a", "sysctls"), ("b", "group_add"), ("b", "sysctls")}


def test_a_volume_of_several_services_is_claimed_once_for_all() -> None:
    found = exported(
        "services:\n  a: {image: x, volumes: ['d:/d']}\n  b: {image: x, volumes: ['d:/d']}\nvolumes: {d: }\n"
    )

    assert the(found, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]
    assert [each["kind"] for each in found.documents].index("PersistentVolumeClaim") == 0


def test_a_volume_of_several_services_of_one_pod_is_that_pods() -> None:
    found = exported(
        """
        services:
          a: {image: x, volumes: ['d:/d'], x-swarmlet: {pod: p}}
          b: {image: x, volumes: ['d:/d', 'd:/again', '/scratch'], x-swarmlet: {pod: p}}
        volumes: {d: }
        """
    )

    assert len(pod(found)["volumes"]) == 2
    assert sorted(len(each["volumeMounts"]) for each in pod(found)["containers"]) == [1, 3]
    assert the(found, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_configs_and_secrets_are_files() -> None:
    found = exported(
        """
        services:
          web:
            image: x
            configs:
              - {source: conf, target: /etc/app/app.conf, mode: 0400}
              - {source: conf, target: /app.conf, uid: "7", mode: 04440}
            secrets: [key]
        configs: {conf: {content: "a = 1"}}
        secrets: {key: {file: key.bin}}
        """,
        {"key.bin": base64.b64encode(b"\0\xff").decode()},
    )

    config, secret = the(found, "ConfigMap"), the(found, "Secret")
    assert sorted(config["data"].values()) == ["a = 1", "a = 1"]
    assert secret["data"] == {"key": base64.b64encode(b"\0\xff").decode()}
    items = {each["path"]: each["mode"] for each in pod(found)["volumes"][0]["configMap"]["items"]}
    mounts = {each["mountPath"]: each["subPath"] for each in container(found)["volumeMounts"]}
    assert items[mounts["/etc/app/app.conf"]] == 0o400
    assert items[mounts["/app.conf"]] == 0o440
    assert mounts["/run/secrets/key"] == "key"
    assert any("setuid" in note.message for note in found.notes)
    assert noted(found) == {"configs"}


def test_a_volume_that_is_mounted_twice_is_one_of_its_pods() -> None:
    found = web("volumes: ['d:/a', 'd:/b:ro']", "volumes: {d: }")

    assert len(pod(found)["volumes"]) == 1
    assert [each.get("readOnly") for each in container(found)["volumeMounts"]] == [None, True]


@pytest.mark.parametrize(
    ("job", "mode"),
    [
        ("{completions: 3}", "ReadWriteMany"),
        ("{completions: 3, parallelism: 1}", "ReadWriteOnce"),
        ("{schedule: '@daily'}", "ReadWriteOnce"),
        ("{schedule: '@daily', concurrency: allow}", "ReadWriteMany"),
    ],
)
def test_a_jobs_claim_is_for_as_many_as_run_at_once(job: str, mode: str) -> None:
    found = web(f"volumes: ['d:/d']\nx-swarmlet: {{job: {job}}}", "volumes: {d: }")

    assert the(found, "PersistentVolumeClaim")["spec"]["accessModes"] == [mode]


def test_a_changed_config_makes_new_pods() -> None:
    def revision(content: str) -> str:
        found = exported(f"services: {{web: {{image: x, configs: [c]}}}}\nconfigs: {{c: {{content: {content}}}}}\n")
        return str(the(found, "Deployment")["spec"]["template"]["metadata"]["annotations"])

    assert revision("one") == revision("one") != revision("two")
