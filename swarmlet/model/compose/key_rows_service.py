"""Rows of the key table: what a service runs, and what it is connected to. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, refused, supported, warned

_S = "services.*."

TASK: tuple[KeyRow, ...] = (
    supported(_S + "image", "The image to run; without it, `build` must be there. A node that lacks it pulls it."),
    *warned(
        _S + "build",
        "has no effect, images are not built here: each node takes or pulls the one named by `image`, or STACK-SERVICE",
        *(
            f".{key}"
            for key in (
                *("context", "dockerfile", "dockerfile_inline", "entitlements", "args", "ssh", "labels", "cache_from"),
                *("cache_to", "no_cache", "additional_contexts", "network", "provenance", "sbom", "pull", "target"),
                *("shm_size", "extra_hosts", "isolation", "privileged", "secrets", "tags", "ulimits", "platforms"),
            )
        ),
        *(f".secrets[].{key}" for key in ("source", "target", "uid", "gid", "mode")),
        *(".ulimits.*.hard", ".ulimits.*.soft"),
    ),
    supported(
        _S + "pull_policy",
        "`missing` (the default) or `if_not_present`, `always` (before a container is made), `never`. Compose's others "
        "are taken as one of these, with a warning.",
    ),
    supported(_S + "extends", "Takes over another service's keys: its name, or a mapping. Its own keys are merged in."),
    supported(_S + "extends.service", "The service; required."),
    supported(_S + "extends.file", "The file that it is in, when it is another one."),
    supported(_S + "profiles", "The service is left out unless one of these is asked for with `--profile`."),
    supported(_S + "command", "Replaces the image's command: a list, or a string split as a shell would."),
    supported(_S + "entrypoint", "Replaces the image's entry point; an empty list or string clears it."),
    supported(
        _S + "environment",
        "A mapping or a list of NAME=value. A name without a value takes the deployer's variable, if it is set.",
    ),
    supported(_S + "env_file", "Files of variables, read where the stack is deployed; `environment` wins."),
    supported(_S + "env_file[].path", "The file, relative to the Compose file."),
    supported(_S + "env_file[].required", "`false`: the file may be missing."),
    *refused(_S + "env_file[].format", "remove it, files are read by Compose's own rules"),
    supported(_S + "labels", "Labels of the containers: a mapping or a list of name=value."),
    supported(_S + "label_file", "Files of labels, in the form of `env_file`; `labels` wins."),
    supported(
        _S + "annotations", "Annotations of the containers for the OCI runtime: a mapping or a list of name=value."
    ),
    supported(_S + "user", "User (and group) in the container: `name`, `uid` or `uid:gid`, as a string."),
    supported(_S + "working_dir", "Absolute path in the container."),
    supported(
        _S + "restart", "`always` (the default here), `unless-stopped` (the same), `on-failure[:times]` or `no`."
    ),
    supported(_S + "stop_grace_period", "How long a task may take to end before it is killed; 10s by default."),
    supported(_S + "stop_signal", "The signal that asks a task to end, like SIGINT; the image's own or SIGTERM."),
    supported(_S + "depends_on", "Services that start first: a list of names, or a mapping with conditions."),
    supported(
        _S + "depends_on.*.condition",
        "`service_started`, `service_healthy`, or `service_completed_successfully`: it runs to its end before each new "
        "revision of its dependents; required.",
    ),
    supported(
        _S + "depends_on.*.required",
        "`false`: no error when the stack has no such service, and no waiting for one that fails.",
    ),
    supported(_S + "depends_on.*.restart", "`true`: a new revision of the dependency replaces these tasks, too."),
    supported(
        _S + "configs", "Files from `configs`, by name or as a mapping; nobody in the container can write to them."
    ),
    supported(_S + "secrets", "Files from `secrets`, by name or as a mapping, in /run/secrets by default."),
    *(
        row
        for kind, target in (("configs", "`/SOURCE`"), ("secrets", "`/run/secrets/SOURCE`"))
        for row in (
            supported(f"{_S}{kind}[].source", "Its name; required."),
            supported(f"{_S}{kind}[].target", f"Path in the container; {target} by default."),
            supported(f"{_S}{kind}[].uid", "Owner in the container, a number as a string; 0 by default."),
            supported(f"{_S}{kind}[].gid", "Group in the container, a number as a string; 0 by default."),
            supported(f"{_S}{kind}[].mode", "Who may read it, octal; 0444 (everyone) by default."),
        )
    ),
    *warned(
        _S + "container_name", "has no effect, a service may have many containers: they are named after their tasks"
    ),
    *warned(_S + "runtime", "has no effect, containers run in each node's own OCI runtime"),
    *warned(_S + "isolation", "has no effect on Linux"),
    *warned(_S + "attach", "has no effect, read output with `swarmlet logs`"),
    *warned(
        _S + "develop",
        "has no effect, it is for developing on one machine",
        ".watch",
        *(f".watch[].{key}" for key in ("ignore", "include", "path", "action", "target", "exec", "initial_sync")),
        *(f".watch[].exec.{key}" for key in ("command", "user", "privileged", "working_dir", "environment")),
    ),
    *warned(
        _S + "pull_refresh_after", "has no effect, write `pull_policy: always` to have the image checked each time"
    ),
    *(
        row
        for key, remedy in (
            ("post_start", "remove it and do it in the image's entry point"),
            ("pre_stop", "remove it and handle the stop signal in the program"),
        )
        for row in refused(
            _S + key,
            remedy,
            *(f"[].{part}" for part in ("command", "user", "privileged", "working_dir", "environment")),
        )
    ),
    *refused(_S + "provider", "remove it and run what it would provide as a service", ".type", ".options"),
    *refused(_S + "models", "run the model as a service of its own", ".*.endpoint_var", ".*.model_var"),
    *refused(_S + "credential_spec", "remove it, it is for Windows", ".config", ".file", ".registry"),
    *refused(_S + "use_api_socket", "remove it, a task gets no access to its node's engine"),
)

NETWORK: tuple[KeyRow, ...] = (
    supported(
        _S + "ports",
        "`[ADDRESS:]PUBLISHED:TARGET[/tcp]` or a mapping. PUBLISHED listens on every node and leads to healthy tasks "
        "anywhere; ranges (`8000-8002:9000-9002`) must be of equal length. Only TCP is carried: a UDP port is left "
        "out, with a warning.",
    ),
    supported(_S + "ports[].target", "Port in the container; required."),
    supported(_S + "ports[].published", "Port on every node; required."),
    supported(_S + "ports[].host_ip", "Local address to listen on; by default the node's proxy address."),
    supported(_S + "ports[].protocol", "`tcp`; a `udp` port is left out, with a warning."),
    supported(_S + "ports[].mode", "`ingress` only."),
    *warned(_S + "ports[].name", "has no effect here, only people read it"),
    *warned(_S + "ports[].app_protocol", "has no effect here, connections are passed on as they are"),
    *warned(_S + "expose", "has no effect, other services reach only what is published with `ports`"),
    supported(
        _S + "network_mode",
        "`bridge` (the default), `host` (the node's own network: no two such tasks with one port fit on a node) or "
        "`none`.",
    ),
    *warned(
        _S + "networks",
        "separate nothing here (yet): services of all stacks share each node's network and reach each other by "
        "published ports, not by name",
        *(
            f".*.{key}"
            for key in (
                *("aliases", "interface_name", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address"),
                *("driver_opts", "priority", "gw_priority"),
            )
        ),
    ),
    *warned(_S + "links", "have no effect, services reach each other by published ports, not by name"),
    *warned(_S + "external_links", "have no effect, services reach each other by published ports, not by name"),
    *warned(_S + "mac_address", "has no effect, the engine gives each container its own"),
    supported(_S + "hostname", "The container's own name."),
    supported(_S + "domainname", "The container's NIS domain."),
    supported(_S + "extra_hosts", "Lines of /etc/hosts: `NAME=ADDRESS` or `NAME:ADDRESS`, or a mapping."),
    supported(_S + "dns", "Name servers, by address: one or a list."),
    supported(_S + "dns_search", "Domains that short names are looked up in: one or a list."),
    supported(_S + "dns_opt", "Options of the resolver, like ndots:2."),
)

MOUNTS: tuple[KeyRow, ...] = (
    supported(
        _S + "volumes",
        "`[SOURCE:]TARGET[:ro|rw]` or a mapping. SOURCE is a declared volume or a path on the node; without it the "
        "volume is the task's own. A relative path is taken from where you deploy, with a warning.",
    ),
    supported(_S + "volumes[].type", "`bind`, `volume` or `tmpfs`; required."),
    supported(_S + "volumes[].source", "A declared volume, or a path on the node."),
    supported(_S + "volumes[].target", "Absolute path in the container; required."),
    supported(_S + "volumes[].read_only", "The task cannot write there."),
    *warned(_S + "volumes[].consistency", "has no effect on Linux"),
    supported(_S + "volumes[].bind", "Options of a `bind`."),
    supported(_S + "volumes[].bind.propagation", "`rprivate`, `private`, `rshared`, `shared`, `rslave` or `slave`."),
    *warned(_S + "volumes[].bind.create_host_path", "has no effect, the path must exist on the node"),
    *warned(_S + "volumes[].bind.recursive", "has no effect, mounts below the path are there too"),
    *warned(_S + "volumes[].bind.selinux", "has no effect, the path keeps its label"),
    supported(_S + "volumes[].volume", "Options of a `volume`."),
    *warned(_S + "volumes[].volume.labels", "have no effect, a volume is made without labels"),
    *warned(_S + "volumes[].volume.nocopy", "has no effect, a new volume gets what the image has at its target"),
    *refused(_S + "volumes[].volume.subpath", "remove it and mount the whole volume"),
    supported(_S + "volumes[].tmpfs", "Options of a `tmpfs`."),
    supported(_S + "volumes[].tmpfs.size", "Size limit, like 64m."),
    supported(_S + "volumes[].tmpfs.mode", "Permissions of its root, octal, like 01777."),
    *refused(_S + "volumes[].image", "remove it, build the files into the service's own image", ".subpath"),
    supported(_S + "tmpfs", "Paths held in memory: `/run` or `/run:size=64m,mode=1777`, one or a list."),
    *refused(_S + "volumes_from", "mount the same declared volume in both services"),
)

RIGHTS: tuple[KeyRow, ...] = (
    supported(
        _S + "init",
        "`true`: a small init process (catatonit, on the node) reaps what the program leaves.",
    ),
    supported(_S + "tty", "`true`: the program gets a terminal (nobody sits at it)."),
    supported(_S + "stdin_open", "`true`: standard input stays open (nothing comes from it)."),
    supported(_S + "read_only", "The container's own file system cannot be written."),
    supported(_S + "cap_add", "Linux capabilities to add, like NET_ADMIN."),
    supported(_S + "cap_drop", "Linux capabilities to drop; ALL drops every one."),
    supported(
        _S + "privileged",
        "`true`: all capabilities and devices, no confinement. **Dangerous**: such a task can do to its node "
        "whatever root can. `cap_add` or `devices` are nearly always enough.",
    ),
    supported(
        _S + "security_opt",
        "`no-new-privileges`, `seccomp=…`, `apparmor=…`, `label=…`, `mask=…`, `unmask=…`, `systempaths=unconfined`. "
        "Profiles are paths on the node.",
    ),
    supported(_S + "group_add", "More groups of the user in the container, names or numbers."),
    supported(_S + "pid", "`host`: the task sees its node's processes. Only for tasks that you trust with the node."),
    supported(_S + "ipc", "`host`: shared memory is the node's; `private` and `shareable` are the default."),
    supported(_S + "uts", "`host`: host name and domain are the node's."),
    supported(_S + "userns_mode", "`host`: users are the node's."),
    supported(_S + "cgroup", "`host`: the task sees its node's cgroups; `private` is the default."),
    supported(
        _S + "devices",
        "`SOURCE[:TARGET[:rwm]]`, a CDI name like `nvidia.com/gpu=0`, or a mapping: devices of the node, which must "
        "have them.",
    ),
    supported(_S + "devices[].source", "Path on the node; required."),
    supported(_S + "devices[].target", "Path in the container; the same by default."),
    supported(_S + "devices[].permissions", "Some of `rwm`: read, write, make."),
    supported(
        _S + "sysctls", "Kernel parameters of the container's own namespaces: a mapping or a list of name=value."
    ),
    supported(_S + "ulimits", "Limits by name, like `nofile`: a number, or a mapping. -1 is no limit."),
    supported(_S + "ulimits.*.soft", "What counts; required."),
    supported(_S + "ulimits.*.hard", "How far the program itself may raise it; required."),
    supported(_S + "shm_size", "Size of /dev/shm, like 128m."),
    supported(_S + "oom_score_adj", "-1000 to 1000: the higher, the sooner the kernel ends it when memory runs out."),
    supported(
        _S + "logging", "Where output goes. It stays on its node and is read with `swarmlet logs`, whatever the driver."
    ),
    supported(
        _S + "logging.driver",
        "`json-file`, `local`, `k8s-file` (all the same here) or `none`. Others are taken as these, with a warning.",
    ),
    supported(_S + "logging.options", "`max-size`, up to 10m; others have no effect, with a warning."),
    *refused(_S + "cgroup_parent", "remove it and write `deploy.resources.limits`"),
    *refused(_S + "device_cgroup_rules", "write `devices`"),
)
