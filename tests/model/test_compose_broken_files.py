"""Broken files: each gives one line with the place, the key's path, what is wrong and what to write instead."""

import re

import pytest
from compose_builders import a_file, parse, the_error

from swarmlet.model.compose import ComposeError, parse_stack

REMEDY = re.compile(r"\b(write|remove|set|close|check|split|mount|build|create|rename)\b")

BROKEN_SERVICES = [
    # (keys of the service, part of the message); » stands before the place that is reported
    ("»prots: []", "services.web.prots: unknown key, write 'ports' instead"),
    ("»colour: blue", "services.web.colour: unknown key, remove it"),
    ("»mem_limt: 5m", "unknown key, write 'mem_limit' instead"),
    ("»volume_from: [db]", "the nearest, 'volumes_from', is not supported by swarmlet (yet) either, mount the same"),
    ("»expos: [80]", "unknown key, remove it: the nearest, 'expose', has no effect either"),
    ("mem_limit: »5k", "5120 bytes are too few"),
    ("networks: [»front]", "the network 'front' is not declared, write 'front:' below 'networks:'"),
    ("»image: other", "the key 'image' is already in line 3"),
    ("user: »1000", "services.web.user: must be a string, not a whole number ('1000'), write it in quotes: \"1000\""),
    ("user: »''", "is empty, write a value"),
    ("working_dir: »app", "'app' is no absolute path"),
    ("read_only: »maybe", "cannot be 'maybe', write true or false"),
    ("command: »{run: it}", "services.web.command: must be a string or a list, not a mapping"),
    ("command: [sleep, »5]", "services.web.command[1]: must be a string"),
    ('command: »"say \'hi"', "has an open quote"),
    ("environment: »DEBUG", "must be a mapping or a list"),
    ("environment:\n  A: »[1]", "services.web.environment.A: must be one value, not a list"),
    ("environment: [»'=x']", "the name '' cannot be used"),
    ("environment:\n  A: »5$", "'$' names no variable, write $$"),
    ("environment:\n  A: »${B", "has no closing brace"),
    ("environment:\n  A: »${B!x}", "is no variable"),
    ("environment:\n  A: »${B:?the database}", "the variable B is not set: the database, set B"),
    ("env_file: »web.env", "the file web.env is missing"),
    ("env_file:\n  - path: there.env\n    »format: raw", "services.web.env_file[0].format: not supported"),
    ("labels: [»io.swarmlet.task=x]", "are swarmlet's own"),
    ("restart: »sometimes", "cannot be 'sometimes', write always"),
    ("restart: »on-failure:x", "'x' is no number of restarts"),
    ("stop_grace_period: »5", "'5' is no duration, write a number with ms, s, m or h, like 5s"),
    ("cap_add: [»NET_ADMN]", "'NET_ADMN' is no Linux capability, write NET_ADMIN"),
    ("ports: »8080:80", "must be a list, not a string"),
    ("ports:»", "must be a list, not empty"),
    ("ports: [»'80']", "'80' has no published port, write \"80:80\""),
    ("ports: [»'53:53/quic']", "'quic' is no protocol, write tcp"),
    ("ports: [»'99999:80']", "'99999' is no port number"),
    ("ports: [»'8000-8001:80']", "publishes 2 ports for 1"),
    ("ports: [»'8001-8000:80-81']", "ends before it begins, write 8000-8001"),
    ("ports: [»'localhost:80:80']", "'localhost' is no IP address"),
    ("ports: [»'1-2000:1-2000']", "more than 1,000 published ports"),
    ("ports: ['80:80', »'80:81']", "port 80 is already published by services.web"),
    ("ports:\n  - »target: 80", "services.web.ports[0]: has no 'published', write 'published: 80'"),
    ("ports:\n  - {target: 80, published: 80, mode: »host}", "mode host is not supported"),
    ("volumes: [»'./data:/data']", "'./data' is relative to this machine, write an absolute path"),
    ("volumes: [»'data:/data']", "the volume 'data' is not declared, write 'data:' below 'volumes:'"),
    ("volumes: [»'/data:data']", "'data' is no path in the container"),
    ("volumes: [»'/data:/data:q']", "the option 'q' is not supported"),
    ("volumes:\n  - /a:/data\n  - »/b:/data/", "line 5 mounts something at '/data' too"),
    ("volumes:\n  - {type: »bnd, source: /a, target: /b}", "cannot be 'bnd', write bind or volume or tmpfs"),
    ("tmpfs: »/run:uid=5", "the option 'uid=5' is not supported"),
    ("tmpfs: »/run:mode=rwx", "'rwx' are no permissions, write octal digits"),
    ("healthcheck: »{interval: 5s}", "has no 'test'"),
    ("healthcheck: {»tset: [CMD, x]}", "unknown key, write 'test' instead"),
    ("healthcheck: {test: »[curl, x]}", "begins with 'curl', write [\"CMD\""),
    ("healthcheck: {test: x, interval: »0s}", "must be more than 0"),
    ("healthcheck: {test: x, retries: »0}", "cannot be 0, write 1 to 1000"),
    ("x-swarmlet: {»helth: 1}", "services.web.x-swarmlet.helth: unknown key, write 'health' instead"),
    ("x-swarmlet: {health: {http: »{path: /}}}", "has no 'port', write 'port: 8080'"),
    ("x-swarmlet: {health: {»udp: 5}}", "unknown key, write "),
    ("x-swarmlet: {health: {tcp: {port: »0}}}", "cannot be 0, write 1 to 65535"),
    ("deploy: {replicas: »many}", "must be a whole number, not 'many', write 0 to 10000"),
    ("deploy: {replicas: »-1}", "cannot be -1"),
    ("deploy: {mode: global, replicas: »2}", "a global service has one task on every node"),
    ("deploy: {resources: {limits: {memory: »512}}}", "512 bytes are too few"),
    ("deploy: {resources: {limits: {memory: »5 apples}}}", "'5 apples' is no size"),
    ("deploy: {resources: {limits: {cpus: »none}}}", "cannot be 'none', write a number above 0"),
    ("deploy: {»gpus: all}", "services.web.deploy.gpus: unknown key"),
    ("deploy: {update_config: {parallelism: »two}}", "must be a whole number"),
    ("deploy: {update_config: {order: »both}}", "cannot be 'both', write start-first or stop-first"),
    ("deploy: {update_config: {»paralellism: 2}}", "unknown key, "),
    ("deploy: {update_config: {max_failure_ratio: »1.5}}", "write a number from 0 to 1"),
    ("deploy: {rollback_config: {failure_action: »rollback}}", "cannot be 'rollback', write continue or pause"),
    ("deploy: {restart_policy: {condition: »always}}", "cannot be 'always', write any or on-failure or none"),
    ("deploy: {placement: {constraints: [»node.role==x]}}", "'x' is no role, write manager (a node that votes)"),
    (
        "deploy: {placement: {constraints: [»node.disk==x]}}",
        "'node.disk' is nothing that nodes are told apart by, write",
    ),
    ("deploy: {placement: {constraints: [»ssd]}}", "'ssd' is no constraint, write one like node.labels.disk==ssd"),
    ("deploy: {placement: {max_replicas_per_node: »x}}", "must be a whole number, not 'x', write 0 to"),
    ("platform: »linux/", "'linux/' is no platform, write one like linux/arm64"),
    ("x-swarmlet: {priority: »5000}", "cannot be 5000, write -1000 to 1000"),
    ("x-swarmlet: {placement: {strategy: »tight}}", "cannot be 'tight', write spread or binpack"),
    ("x-swarmlet: {placement: {affinity: [»{per: node}]}}", "must name one thing, write 'service: NAME'"),
    ("x-swarmlet: {placement: {affinity: [{service: »a b}]}}", "'a b' is no service, write NAME"),
    (
        "x-swarmlet: {placement: {affinity: [»{node: node.id==a, required: true}]}}",
        "is a constraint, write it in deploy.placement.constraints",
    ),
    ("x-swarmlet: »{placement: {affinity: [{service: web}]}}", "is beside itself wherever it is: remove this"),
    ("x-swarmlet: {tolerations: [{effect: »never}]}", "cannot be 'never', write no-schedule or no-execute"),
    ("x-swarmlet: {tolerations: [»{}]}", "says nothing, write 'key: NAME'"),
    ("gpus: [{device_ids: »['0', '0']}]", "asks for one device twice, write each id once"),
    ("gpus: [{device_ids: [»'a b']}]", "'a b' is no id of a device"),
    ("gpus: [{device_ids: »[]}]", "has no id, write some like '0'"),
    ("gpus: [»{count: 1, device_ids: ['0']}]", "has 'count' and 'device_ids', remove one of them"),
    ("gpus: »some", "must be 'all' or a list, write lines like '- count: 1'"),
    (
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: »-1}]}}}",
        "cannot be -1, write 1 to 10000",
    ),
    ("deploy: {resources: {reservations: {devices: [»{count: 1}]}}}", "has no 'capabilities', write"),
    ("deploy: {placement: {preferences: [{spread: »zone}]}}", "'zone' is no label of nodes, write one like node.l"),
    ("scale: »3\ndeploy: {replicas: 2}", "says something else than deploy.replicas, remove one of the two"),
    ("scale: »3\ndeploy: {mode: global}", "a global service has one task on every node"),
    ("cpus: »2\ndeploy: {resources: {limits: {cpus: 1}}}", "says something else than deploy.resources.limits.cpus"),
    ("pids_limit: »0", "cannot be 0, write 1 to"),
    ("pull_policy: »sometimes", "cannot be 'sometimes', write always, missing or never"),
    ("stop_signal: »SIGBREAK", "'SIGBREAK' is no signal, write one of signal(7)"),
    ("ulimits: {»nofiles: 5}", "no limit of this name, write nofile"),
    ("ulimits: {nofile: »{soft: 5, hard: 4}}", "the soft limit 5 is above the hard one 4, write at most that"),
    ("ulimits: {nofile: »{soft: 5}}", "has no 'hard', write 'hard: "),
    ("sysctls: [»kernel.panic=1]", "kernel.panic belongs to the node, not to a container: set it on the nodes"),
    ("extra_hosts: [»db]", "'db' has no address, write NAME=ADDRESS"),
    ("extra_hosts: {db: »there}", "'there' is no IP address"),
    ("dns: »resolver", "'resolver' is no IP address"),
    ("dns_search: [»-x]", "'-x' is no host name"),
    ("dns_opt: [»'n d']", "is no option of resolv.conf(5)"),
    ("hostname: »web_!", "is no host name"),
    ("hostname: »web\nuts: host", "cannot be had together with this service's 'uts', remove one of the two"),
    ("network_mode: »service:db", "tasks share no network with each other (yet), write host"),
    ("network_mode: none\nports: »['80:80']", "cannot be had together with this service's 'network_mode'"),
    ("pid: »service:db", "tasks share no process table with each other (yet)"),
    ("ipc: »hots", "cannot be 'hots', write host or private or shareable"),
    ("devices: [»ttyUSB0]", "'ttyUSB0' is no path of a device"),
    ("devices: [»'/dev/a:/dev/b:rx']", "are no permissions of a device, write some of rwm"),
    ("devices: [»nvidia.com/=all]", "is no path of a device, write an absolute one"),
    ("group_add: [»'a b']", "'a b' is no group, write its name or number"),
    ("security_opt: [»no-new-privilege]", "is no security option, write no-new-privileges"),
    ("security_opt: [»seccomp=profile.json]", "is no profile, write unconfined or a path"),
    ("shm_size: »0", "must be more than 0"),
    ("cpuset: »one", "is no set of processors"),
    ("oom_score_adj: »2000", "cannot be 2000, write -1000 to 1000"),
    ("privileged: »sure", "cannot be 'sure', write true or false"),
    ("logging: {options: {max-size: »big}}", "'big' is no size"),
    ("logging: {»drvier: x}", "unknown key, write 'driver' instead"),
    ("profiles: [»'a b']", "'a b' is no name for a profile"),
    ("build: {»contxt: .}", "unknown key, write 'context' instead"),
    ("secrets: [»key]", "'key' is not declared, write 'key:' below 'secrets:' at the top level"),
    ("extends: »base", "no service in compose.yaml is called 'base', write the name of one"),
    ("extends: »{file: x.yaml}", "has no 'service', write 'service: base'"),
    ("extends: »{file: x.yaml, service: a}", "the file x.yaml is missing, create it"),
    ("extends: »web", "a cycle of services that extend each other (web → web)"),
    ("depends_on: [»wbe]", "no service of this stack is called 'wbe', write web"),
    ("depends_on: [»web]", "(web → web)"),
    ("depends_on: {web: {condition: »service_completed}}", "service_completed_successfully"),
    ("entrypoint: »!python/object:os.system ls", "has no meaning here, remove it"),
    ('user: »"\\0"', "contains a NUL character"),
]

BROKEN_FILES = [
    # the same for whole files
    ("»", "the file is empty, write 'services:'"),
    ("»- web\n", "must be a mapping, not a list"),
    ("»name: shop\n", "has no 'services', write 'services:'"),
    ("»servces: {}\n", "servces: unknown key, write 'services' instead"),
    ("services:»\n", "services: must be a mapping, not empty"),
    ("services: »{}\n", "services: declares no service"),
    ("services:\n  web:»\n", "services.web: must be a mapping, not empty"),
    ("services:\n  web:\n    »restart: always\n", "services.web: has no 'image', write 'image: "),
    ("services:\n  web:\n    restart: always\n    »imgae: x\n", "unknown key, write 'image' instead"),
    ("services:\n  »Web.Site:\n    image: x\n", "'Web.Site' is no name for a service"),
    ("include: [»other.yaml]\nservices: {web: {image: x}}\n", "the file other.yaml is missing, create it"),
    ("include: [»https://x/y.yaml]\nservices: {web: {image: x}}\n", "is not a file of this machine, write the path"),
    ("include: »other.yaml\nservices: {web: {image: x}}\n", "must be a list, not a string"),
    ("include: [»{}]\nservices: {web: {image: x}}\n", "has no 'path', write 'path: other.yaml'"),
    ("services:\n  web: {image: x, ports: [»!reset '80:80']}\n", "belongs before the value of a key, write it there"),
    ("services: {web: {image: x}}\nconfigs:\n  a: »{}\n", "must have one content, write 'file: PATH'"),
    (
        "services: {web: {image: x}}\nconfigs:\n  a: »{file: x, content: y}\n",
        "has more than one content (file, content)",
    ),
    ("services: {web: {image: x}}\nconfigs:\n  a: {file: »x}\n", "the file x is missing, create it before you deploy"),
    (
        "services: {web: {image: x}}\nsecrets:\n  a: {»external: true}\n",
        "secrets.a.external: not supported by swarmlet",
    ),
    ("services: {web: {image: x}}\nsecrets:\n  a: {environment: »NO}\n", "the variable 'NO' is not set, set it"),
    ("services: {web: {image: x}}\nnetworks:\n  a: {»internal: true}\n", "networks.a.internal: not supported by swarm"),
    ("services: {web: {image: x}}\nnetworks:\n  a: {»drvier: x}\n", "networks.a.drvier: unknown key"),
    ("services: {web: {image: x}}\nvolumes:\n  a: {external: {»name: x}}\n", "write `external: true` and this as"),
    ("services:\n  web: {build: ».}\n", "these have to be on every node: web as shop-web; build them and deploy with"),
    ("services:\n  web:\n»\timage: x\n", "write spaces for tabs"),
    ("services:\n  web: {image: $»{NAME:-x}}\n", "write quotes around values with {"),
    ("services:\n  web:\n    image: 'x\n»", "not valid YAML"),
    ("services:\n  web: »*nothing\n", "alias *nothing has no finished anchor before it"),
    ("services: &all\n  web: »*all\n", "alias *all has no finished anchor before it"),
    ("services:\n  web:\n    <<: [»1]\n", "only mappings can be merged, this is a whole number"),
    ("services: {web: {image: x}}\n»---\nservices: {}\n", "a second YAML document"),
    ("? »[a]\n: b\n", "a key must be a string, not a list"),
    ("services: {web: {image: »\x01}}\n", "a character that YAML does not allow"),
    ("services: {web: {image: »\ud800}}\n", "a character that YAML does not allow"),
    ("services: {web: {image: x}}\nvolumes:\n  data: {driver: »nfs}\n", "cannot be 'nfs', write local"),
    ("services: {web: {image: x}}\nvolumes:\n  »'a b':\n", "no name for a volume"),
]


def check(file: str, part: str) -> None:
    """The file without its » is refused, in one line, at the place where the » stood."""
    before, mark, after = file.partition("»")
    assert mark
    error = the_error(before + after, files={"there.env": ""})

    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert str(error).startswith(f"compose.yaml:{line}:{column}: ")
    assert part in str(error)
    assert REMEDY.search(error.message)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("keys", "part"), BROKEN_SERVICES)
def test_a_broken_service_is_refused_at_its_place(keys: str, part: str) -> None:
    check(a_file(keys), part)


@pytest.mark.parametrize(("file", "part"), BROKEN_FILES)
def test_a_broken_file_is_refused_at_its_place(file: str, part: str) -> None:
    check(file, part)


def test_a_cycle_is_named_in_the_order_of_waiting() -> None:
    error = the_error(
        """\
        services:
          c: {image: x, depends_on: [a]}
          a: {image: x, depends_on: [b]}
          b: {image: x, depends_on: [c]}
        """
    )

    assert "(c → a → b → c)" in error.message
    assert (error.line, error.key_path) == (2, "services.c.depends_on[0]")


def test_a_port_that_another_service_publishes_is_refused() -> None:
    error = the_error("services:\n  a: {image: x, ports: ['80:1']}\n  b: {image: x, ports: ['127.0.0.1:80:1']}\n")

    assert (error.line, error.message) == (3, "port 80 is already published by services.a, write another number")


def test_of_several_faults_the_first_in_the_file_is_reported() -> None:
    error = the_error(
        """\
        services:
          web:
            image: x
            volumes: [data:/data]
            user: 7
            ports: [80]
        volumes:
          data: {drivre: local}
        """
    )

    assert error.key_path == "services.web.user"


def test_a_faulty_declaration_is_not_blamed_on_its_users() -> None:
    error = the_error("services:\n  web: {image: x, volumes: ['data:/data']}\nvolumes:\n  data: {drivre: local}\n")

    assert error.key_path == "volumes.data.drivre"


def test_a_bad_name_for_the_stack_is_refused() -> None:
    with pytest.raises(ComposeError, match="'My Shop' is no name for a stack, write"):
        parse_stack("My Shop", "services: {web: {image: x}}", "compose.yaml", {}, {})


def test_long_texts_of_users_are_shortened_in_messages() -> None:
    assert len(str(the_error(a_file(f"read_only: {'x' * 5000}")))) < 200


def test_a_message_is_one_line_whatever_users_write() -> None:
    assert str(the_error(a_file('"a\\nb\\e[31m": x'))).startswith(
        "compose.yaml:4:5: services.web.a\\nb\\x1b[31m: unknown"
    )
    assert "the file a\\nb is missing" in str(the_error(a_file('env_file: "a\\nb"')))


def test_a_fault_of_an_env_file_names_that_file() -> None:
    error = the_error(a_file("env_file: web.env"), files={"web.env": "A=1\nB='2\n"})

    assert str(error).startswith("web.env:2:1: B: the quote ' is never closed")


def test_faults_of_the_compose_file_come_before_those_of_env_files() -> None:
    error = the_error(a_file("env_file: a.env\nuser: 7"), files={"a.env": "1"})

    assert error.key_path == "services.web.user"


def test_the_same_file_without_the_fault_is_accepted() -> None:
    assert parse(a_file("user: '1000'")).spec.services["web"].template.user == "1000"
