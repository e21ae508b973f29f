"""Rows of the key table: the file itself and what is declared beside services. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, refused, supported, warned

TOP: tuple[KeyRow, ...] = (
    *warned("version", "obsolete, remove it: the format has no versions any more"),
    supported("name", "Read for compatibility; the stack's name is the one given to `swarmlet deploy`."),
    supported(
        "include",
        "Other Compose files, a list of paths or mappings: what they declare is part of the stack. Their paths are "
        "relative to their own folder.",
    ),
    supported("include[].path", "The file, or several that are merged; required."),
    supported("include[].env_file", "Defaults for the variables of these files; by default `.env` in their folder."),
    supported("include[].project_directory", "What relative paths in these files are relative to."),
    supported("services", "The services of the stack, by name."),
    supported("volumes", "Named volumes that services mount, by name; each lives on the node where its task runs."),
    supported("configs", "Files that services mount, by name; their contents are sent along with the deploy."),
    supported("secrets", "Like `configs`, and never shown. Stored unencrypted: see below."),
    *refused(
        "models",
        "run the model as a service of its own",
        *(f".*.{key}" for key in ("name", "model", "context_size", "runtime_flags")),
    ),
)

VOLUMES: tuple[KeyRow, ...] = (
    supported("volumes.*.name", "The volume's name on its node, instead of STACK_KEY."),
    supported("volumes.*.external", "`true`: the name is used as it is, without the stack's in front."),
    *refused("volumes.*.external.name", "write `external: true` and this as `name` beside it"),
    supported("volumes.*.driver", "`local` only."),
    *refused("volumes.*.driver_opts", "remove it, or mount an absolute path that you mounted on every node"),
    *warned(
        "volumes.*.labels", "have no effect: a volume is made on its node when a task first needs it, without labels"
    ),
)

NETWORKS: tuple[KeyRow, ...] = (
    supported(
        "networks",
        "Declared names, so that services can name them. They separate nothing (yet): tasks of all services are in "
        "each node's own network.",
    ),
    *warned("networks.*.name", "has no effect, no network of this name is made"),
    *warned("networks.*.driver", "has no effect, tasks are in each node's own network"),
    *warned("networks.*.driver_opts", "have no effect, tasks are in each node's own network"),
    *warned(
        "networks.*.ipam",
        "has no effect, each node gives its tasks addresses of its own",
        *(".driver", ".config", ".options"),
        *(f".config[].{key}" for key in ("subnet", "ip_range", "gateway", "aux_addresses")),
    ),
    *warned("networks.*.external", "has no effect, tasks are in each node's own network", ".name"),
    *refused("networks.*.internal", "remove it, tasks can't be kept from connecting to the outside (yet)"),
    *warned("networks.*.enable_ipv4", "has no effect, each node's own network decides"),
    *warned("networks.*.enable_ipv6", "has no effect, each node's own network decides"),
    *warned("networks.*.attachable", "has no effect, only stacks run tasks"),
    *warned("networks.*.labels", "have no effect, no network is made"),
)


def _stored(kind: str) -> tuple[KeyRow, ...]:
    one = kind.removesuffix("s")
    return (
        *warned(f"{kind}.*.name", f"has no effect, a {one} belongs to its stack"),
        supported(f"{kind}.*.file", "The file with its content, relative to the Compose file; read where you deploy."),
        supported(f"{kind}.*.environment", "The deployer's variable that holds its content."),
        *refused(
            f"{kind}.*.external", "write `file` or `environment`: the cluster keeps none outside of stacks", ".name"
        ),
        *warned(f"{kind}.*.labels", "have no effect, it is known by its stack and its name"),
        *refused(f"{kind}.*.template_driver", "remove it and write the content as it is to be"),
    )


STORED: tuple[KeyRow, ...] = (
    supported("configs.*.content", "Its content, written here; variables are filled in."),
    *_stored("configs"),
    *_stored("secrets"),
    *refused("secrets.*.driver", "remove it and write `file` or `environment`"),
    *refused("secrets.*.driver_opts", "remove it and write `file` or `environment`"),
)
