"""How many pods, where, how they are replaced, and how they are reached."""

import pytest
from export_builders import exported, kinds, noted, the, web

from swarmlet.export import to_kubernetes
from swarmlet.export.leftovers import OPTIONS_FIELDS, SERVICE_FIELDS, TEMPLATE_FIELDS
from swarmlet.export.names import distinct_names, dns_name, file_keys
from swarmlet.model.spec import ServiceSpec, StackSpec, TaskTemplate


def test_a_service_is_a_deployment_behind_its_own_name() -> None:
    found = web("deploy: {replicas: 6}")

    assert kinds(found) == ["Deployment", "PodDisruptionBudget", "Service"]
    assert the(found, "Deployment")["spec"]["replicas"] == 6
    assert the(found, "Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 2, "maxUnavailable": 0}
    assert the(found, "Service", "web")["spec"]["clusterIP"] == "None"
    assert the(found, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_global_service_is_a_daemon_set() -> None:
    found = web("deploy: {mode: global, update_config: {order: stop-first, parallelism: 2}}")

    assert kinds(found) == ["DaemonSet", "Service"]
    assert the(found, "DaemonSet")["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}


def test_a_service_that_ends_is_a_job() -> None:
    found = web("restart: 'no'\ndeploy: {replicas: 2}")
    awaited = exported(
        "services:\n  web: {image: x, depends_on: {init: {condition: service_completed_successfully}}}\n"
        "  init: {image: y, restart: 'on-failure:3'}\n"
    )

    job = the(found, "Job")["spec"]
    assert (job["completions"], job["parallelism"]) == (2, 2)
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert the(web("restart: 'no'"), "Job")["spec"]["backoffLimit"] == 0
    assert the(awaited, "Job", "init")["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert the(awaited, "Job", "init")["spec"]["backoffLimit"] == 3
    assert noted(awaited) == {"depends_on", "restart"}


def test_tasks_that_end_are_each_on_their_own() -> None:
    found = web("restart: 'no'\ndeploy: {replicas: 2}")
    awaited = exported(
        "services:\n  web: {image: x, depends_on: {init: {condition: service_completed_successfully}}}\n"
        "  init: {image: y, restart: on-failure, deploy: {replicas: 3}}\n"
    )

    once, again = the(found, "Job")["spec"], the(awaited, "Job", "init")["spec"]
    assert (once["completionMode"], once["backoffLimitPerIndex"]) == ("Indexed", 0)
    assert (again["completionMode"], again["backoffLimitPerIndex"]) == ("Indexed", 2**31 - 1)
    assert not {"backoffLimit", "maxFailedIndexes"} & (once.keys() | again.keys()), "a failure ends no other"


@pytest.mark.parametrize(
    "keys", ["restart: 'no'\ndeploy: {replicas: 3}", "deploy: {mode: replicated-job, replicas: 3}"]
)
def test_a_job_is_neither_scaled_nor_held_up_by_a_budget(keys: str) -> None:
    assert {"Job"} <= set(kinds(web(keys))) <= {"Job", "Service"}


def test_what_would_scale_a_job_is_noted() -> None:
    keys = "deploy: {resources: {reservations: {cpus: 1}}}\nx-swarmlet: {autoscale: {min: 1, max: 3, cpu: 60%}}"
    found = web(f"restart: 'no'\n{keys}")

    assert kinds(found) == ["Job", "Service"]
    assert "x-swarmlet.autoscale" in noted(found)


def test_a_rollout_goes_as_declared_as_far_as_it_can_be_said() -> None:
    found = web(
        """
        deploy:
          replicas: 4
          update_config: {order: stop-first, parallelism: 0, monitor: 1500ms, delay: 1s, max_failure_ratio: 0.5}
          rollback_config: {parallelism: 1}
        x-swarmlet: {rollout: {canary: {steps: [10%]}, deadline: 1m}, max_unavailable: 25%}
        """
    )

    spec = the(found, "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 4}
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"]) == (2, 60)
    assert the(found, "PodDisruptionBudget")["spec"]["maxUnavailable"] == "25%"
    assert noted(found) >= {
        "deploy.update_config.delay",
        "deploy.update_config.max_failure_ratio",
        "deploy.rollback_config",
        "x-swarmlet.rollout.canary",
    }
    assert "x-swarmlet.rollout" in noted(web("x-swarmlet: {rollout: {strategy: blue-green}}"))


def test_what_is_rolled_back_here_is_not_there() -> None:
    (note,) = web("").notes

    assert note.key == "deploy.update_config.failure_action"
    assert note.message.endswith("kubectl rollout undo deployment/web")


def test_published_ports_are_a_load_balancers() -> None:
    found = web("ports: ['8080:80', '8081:80', '127.0.0.1:9000:9']")

    public, private = the(found, "Service", "web-published"), the(found, "Service", "web-private")
    assert public["spec"]["type"] == "LoadBalancer"
    assert [(each["port"], each["targetPort"]) for each in public["spec"]["ports"]] == [(8080, 80), (8081, 80)]
    assert (private["spec"]["type"], private["spec"]["ports"][0]["port"]) == ("ClusterIP", 9000)
    assert [each["port"] for each in the(found, "Service", "web")["spec"]["ports"]] == [9, 80]
    assert noted(found) == {"ports"}


def test_hosts_and_paths_are_an_ingress() -> None:
    found = web(
        "x-swarmlet: {ingress: [{host: shop.example.com, port: 80}, {host: shop.example.com, path: /api, port: 81}]}"
    )

    (rule,) = the(found, "Ingress")["spec"]["rules"]
    assert rule["host"] == "shop.example.com"
    assert [(each["path"], each["backend"]["service"]["port"]["number"]) for each in rule["http"]["paths"]] == [
        ("/", 80),
        ("/api", 81),
    ]
    backend = rule["http"]["paths"][0]["backend"]["service"]["name"]
    assert {each["port"] for each in the(found, "Service", backend)["spec"]["ports"]} == {80, 81}
    assert "host" not in the(web("x-swarmlet: {ingress: {port: 80}}"), "Ingress")["spec"]["rules"][0]


def test_an_autoscaled_service_leaves_its_number_to_the_autoscaler() -> None:
    found = web(
        """
        deploy: {resources: {reservations: {cpus: 1, memory: 64m}}}
        x-swarmlet:
          autoscale:
            min: 2
            max: 9
            cpu: 60%
            memory: 70%
            metrics: [{prometheus: {name: requests_total, port: 80, target_average: 2.5}}]
        """
    )

    spec = the(found, "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cpu, memory, metric = spec["metrics"]
    assert cpu["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    assert memory["resource"]["name"] == "memory"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "2500m"}
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert "replicas" not in the(found, "Deployment")["spec"]


def test_where_pods_may_run() -> None:
    found = web(
        """
        platform: linux/arm64
        deploy:
          placement:
            constraints: [node.labels.disk==ssd, node.hostname!=old, node.role==manager]
            preferences: [{spread: node.labels.zone}]
            max_replicas_per_node: 1
        x-swarmlet:
          priority: 10
          tolerations: [{key: gpu, effect: no-schedule}, {key: a, value: b}]
          placement:
            affinity: [{service: db}, {node: node.labels.fast==yes, weight: 5}]
            anti_affinity: [{service: batch, per: node.labels.zone, required: false, weight: 7}]
        """,
        others={"db": "x", "batch": "x"},
    )

    affinity = pod_of_web(found)["affinity"]
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "disk", "operator": "In", "values": ["ssd"]},
        {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["old"]},
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
    ]
    (liked,) = affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert (liked["weight"], liked["preference"]["matchExpressions"][0]["key"]) == (5, "fast")
    (beside,) = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert beside["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "db"
    (alone,) = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert alone["topologyKey"] == "kubernetes.io/hostname"
    (away,) = affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert (away["weight"], away["podAffinityTerm"]["topologyKey"]) == (7, "topology.kubernetes.io/zone")
    assert pod_of_web(found)["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert pod_of_web(found)["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a", "operator": "Equal", "value": "b"},
    ]
    assert the(found, "PriorityClass")["value"] == 10
    assert noted(found) == {"deploy.placement.constraints"}
    assert noted(web("deploy: {placement: {max_replicas_per_node: 2}}")) == {"deploy.placement.max_replicas_per_node"}
    assert noted(web("x-swarmlet: {placement: {strategy: binpack}}")) == {"x-swarmlet.placement.strategy"}


def test_a_toleration_without_a_key_is_one_of_every_value() -> None:
    found = web("x-swarmlet: {tolerations: [{value: b}, {effect: no-execute}]}")

    assert pod_of_web(found)["tolerations"] == [{"operator": "Exists"}, {"operator": "Exists", "effect": "NoExecute"}]
    assert noted(found) == {"x-swarmlet.tolerations"}


def pod_of_web(found):  # type: ignore[no-untyped-def]
    return the(found, "Deployment", "web")["spec"]["template"]["spec"]


def test_names_are_made_fit_and_told() -> None:
    found = exported("services:\n  my_db: {image: x}\n  my-db: {image: x}\n  9lives: {image: x}\n")

    names = {each["metadata"]["name"] for each in found.documents if each["kind"] == "Deployment"}
    assert {"my-db", "x-9lives"} < names and len(names) == 3
    assert "" in noted(found)


def test_a_service_keeps_its_name_where_another_ones_object_would_have_it() -> None:
    found = exported(
        """
        services:
          web:
            image: x
            ports: ["8080:80", "127.0.0.1:9000:9"]
            configs: [c]
            x-swarmlet: {ingress: {port: 80}}
          web-published: {image: x}
          web-private: {image: x}
          web-http: {image: x}
          web-configs: {image: x, configs: [c]}
        configs: {c: {content: x}}
        """
    )

    services = {each["metadata"]["name"]: each["spec"] for each in found.documents if each["kind"] == "Service"}
    assert len(services) == 5 + 3
    for name in ("web", "web-published", "web-private", "web-http", "web-configs"):
        assert services[name]["selector"]["app.kubernetes.io/name"] == name
    derived = [spec for name, spec in services.items() if name.count("-") == 2]
    assert {spec["selector"]["app.kubernetes.io/name"] for spec in derived} == {"web"}
    assert {spec.get("type") for spec in derived} == {"LoadBalancer", "ClusterIP", None}
    (path,) = the(found, "Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert services[path["backend"]["service"]["name"]] in derived


@pytest.mark.parametrize("text", ["a" * 100, "_", "1", "A.b_c", "-x-", "ü"])
def test_any_name_becomes_one_of_kubernetes(text: str) -> None:
    name = dns_name(text)

    assert 1 <= len(name) <= 63 and name[0].isalpha() and name[-1] != "-"
    assert name.isascii() and name == name.lower()


def test_names_that_become_one_are_told_apart() -> None:
    assert len(set(distinct_names(["a_b", "a-b", "a.b", "x" * 80, "x" * 81]).values())) == 5
    second = distinct_names(["a-b", "a_b"])["a_b"]
    assert len(set(distinct_names([second, "a-b", "a_b"]).values())) == 3
    assert distinct_names(["a"], taken=["a"])["a"] != "a"
    assert len(set(file_keys(["/a/x", "/b/x", "/c/.."]).values())) == 3


def test_a_field_that_nobody_reads_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmlet.export.leftovers.TEMPLATE_FIELDS", TEMPLATE_FIELDS - {"read_only"})
    spec = ServiceSpec(name="web", template=TaskTemplate(image="x", read_only=True))

    found = to_kubernetes(StackSpec(name="shop", services={"web": spec}), reveal=True)

    assert "read_only" in noted(found)


def test_all_that_is_said_to_be_read_is_there() -> None:
    assert ServiceSpec.model_fields.keys() >= SERVICE_FIELDS
    assert TaskTemplate.model_fields.keys() >= TEMPLATE_FIELDS
    assert type(TaskTemplate(image="x").options).model_fields.keys() >= OPTIONS_FIELDS


def test_services_that_share_a_pod_are_containers_of_one() -> None:
    found = exported(
        """
        services:
          web:
            image: web
            ports: ["8080:80"]
            volumes: ["data:/data"]
            deploy: {replicas: 2, placement: {constraints: [node.labels.a==1]}}
            x-swarmlet: {pod: front, tolerations: [{key: both}, {key: one}]}
          cache:
            image: cache
            volumes: ["/c"]
            stop_grace_period: 30s
            deploy: {replicas: 2, placement: {constraints: [node.labels.b==2]}}
            x-swarmlet: {pod: front, priority: 5, tolerations: [{key: both}]}
          other: {image: x, x-swarmlet: {placement: {affinity: [{service: web}]}}}
        volumes: {data: }
        """
    )

    deployment = the(found, "Deployment", "front-pod")["spec"]
    spec, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"]
    assert {each["name"] for each in spec["containers"]} == {"web", "cache"}
    assert {each["name"] for each in spec["volumes"]} == {"web-volume-0", "cache-volume-0"}
    assert (deployment["replicas"], spec["terminationGracePeriodSeconds"]) == (2, 30)
    assert spec["priorityClassName"] == "swarmlet-5"
    assert [each["key"] for each in spec["tolerations"]] == ["both"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {each["key"] for each in term["matchExpressions"]} == {"a", "b"}
    for name in ("web", "cache"):
        assert the(found, "Service", name)["spec"]["selector"].items() <= labels.items()
    other = the(found, "Deployment", "other")["spec"]["template"]["spec"]["affinity"]["podAffinity"]
    (beside,) = other["requiredDuringSchedulingIgnoredDuringExecution"]
    assert beside["labelSelector"]["matchLabels"].items() <= labels.items()
    assert "x-swarmlet.pod" in noted(found)


def test_a_member_that_ends_and_is_waited_for_runs_before_the_others_of_its_pod() -> None:
    found = exported(
        """
        services:
          a-web:
            image: web
            depends_on: {setup: {condition: service_completed_successfully}}
            x-swarmlet: {pod: front, priority: -5}
          b-cache: {image: cache, x-swarmlet: {pod: front}}
          setup:
            image: setup
            restart: on-failure:3
            volumes: [/scratch]
            depends_on: {unpack: {condition: service_completed_successfully}}
            healthcheck: {test: [CMD, ok]}
            x-swarmlet: {pod: front}
          unpack: {image: unpack, volumes: [/scratch], x-swarmlet: {pod: front, priority: 5}}
        """
    )

    spec = the(found, "Deployment", "front-pod")["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["initContainers"]] == ["unpack", "setup"]
    assert {each["name"] for each in spec["containers"]} == {"a-web", "b-cache"}
    assert spec["priorityClassName"] == "swarmlet-5"
    assert [each["metadata"]["name"] for each in found.documents if each["kind"] == "PriorityClass"] == ["swarmlet-5"]
    said = {note.service: note.message for note in found.notes if note.key == "restart"}
    assert said.keys() == {"setup", "unpack"}
    assert {note.service for note in found.notes if note.key == "healthcheck"} == {"setup"}
    assert "depends_on" not in noted(found)


def test_a_member_that_ends_beside_others_is_told_that_it_is_restarted() -> None:
    found = exported(
        """
        services:
          web: {image: web, x-swarmlet: {pod: front}}
          aside: {image: x, restart: "no", x-swarmlet: {pod: front}}
          probe:
            image: y
            depends_on: [web]
            x-swarmlet: {pod: front}
          outside: {image: z, depends_on: {probe: {condition: service_completed_successfully}}}
        """
    )

    spec = the(found, "Deployment", "front-pod")["spec"]["template"]["spec"]
    assert {each["name"] for each in spec["containers"]} == {"web", "aside", "probe"}
    assert "initContainers" not in spec
    assert {note.service for note in found.notes if note.key == "restart"} == {"aside", "probe"}


def test_a_pod_all_of_whose_members_end_is_a_job() -> None:
    found = exported(
        """
        services:
          first: {image: x, x-swarmlet: {pod: batch}}
          second:
            image: y
            restart: on-failure
            depends_on: {first: {condition: service_completed_successfully}}
            x-swarmlet: {pod: batch}
          last: {image: z, depends_on: {second: {condition: service_completed_successfully}}}
        """
    )

    job = the(found, "Job", "batch-pod")["spec"]
    assert [each["name"] for each in job["template"]["spec"]["initContainers"]] == ["first"]
    assert [each["name"] for each in job["template"]["spec"]["containers"]] == ["second"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert {note.service for note in found.notes if "not tried again" in note.message} == {"second"}


def test_a_pod_and_a_service_may_have_one_name() -> None:
    found = exported("services: {a: {image: x, x-swarmlet: {pod: front}}, front-pod: {image: x}}")

    names = {each["metadata"]["name"] for each in found.documents if each["kind"] == "Deployment"}
    assert "front-pod" in names and len(names) == 2


def test_a_job_is_one_with_retries_of_each_completion() -> None:
    found = web("x-swarmlet: {job: {completions: 5, parallelism: 2, retries: 1, backoff: 5s, deadline: 1m}}")

    assert kinds(found) == ["Job"]
    spec = the(found, "Job")["spec"]
    assert (spec["completions"], spec["parallelism"], spec["activeDeadlineSeconds"]) == (5, 2, 60)
    assert (spec["completionMode"], spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == ("Indexed", 1, 0)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert noted(found) == {"x-swarmlet.job", "x-swarmlet.job.backoff", "x-swarmlet.job.completions"}


def test_a_jobs_ports_and_ingress_are_noted() -> None:
    found = web("ports: ['80:80']\nx-swarmlet: {job: {}, ingress: {port: 80}}")

    assert kinds(found) == ["Job"]
    assert noted(found) == {"ports", "x-swarmlet.ingress", "x-swarmlet.job"}


def test_a_job_with_a_schedule_is_a_cron_job() -> None:
    found = web(
        """
        x-swarmlet:
          job:
            schedule: "5 30 2 * * *"
            time_zone: Europe/Berlin
            concurrency: replace
            history: {succeeded: 3, failed: 7}
        """
    )

    spec = the(found, "CronJob")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("30 2 * * *", "Europe/Berlin", "Replace")
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 7)
    assert noted(found) == {"x-swarmlet.job.schedule"}
    assert the(web("x-swarmlet: {job: {schedule: '@daily'}}"), "CronJob")["spec"]["timeZone"] == "Etc/UTC"


def test_a_job_on_every_node_is_told() -> None:
    assert "deploy.mode" in noted(web("deploy: {mode: global-job}"))


def test_an_exclusive_service_is_a_stateful_set() -> None:
    found = web("x-swarmlet: {exclusive: true}")

    spec = the(found, "StatefulSet")["spec"]
    assert (spec["replicas"], spec["serviceName"]) == (1, "web")
    assert "Deployment" not in kinds(found)
    assert noted(found) == {"x-swarmlet.exclusive"}
