"""Rows of the key table: where tasks may run, and what of a node is reserved for them. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, supported, warned

_S = "services.*."
_P = _S + "deploy.placement"
_V = _S + "deploy.resources.reservations."
_X = _S + "x-swarmlet."
_IDS = (
    "Instead of a number: these and no others, by the ids that a node's configuration gives them. `0` means "
    "`nvidia.com/gpu=0`, too."
)


def _wishes(path: str, what: str, required: str) -> tuple[KeyRow, ...]:
    return (
        supported(path, what),
        supported(path + "[].service", "The other service: NAME of this stack, or STACK.NAME."),
        supported(path + "[].node", f"Instead of a service: a constraint that {required} nodes meet. Never required."),
        supported(path + "[].per", "What counts as one place: `node` (the default) or a label, `node.labels.zone`."),
        supported(path + "[].required", "`false`: a wish; `true` (the default for services): a task waits otherwise."),
        supported(path + "[].weight", "How much a wish counts beside others, 1 (the default) to 100."),
    )


PLACEMENT: tuple[KeyRow, ...] = (
    supported(_P, "Where tasks may run. Checked when a task is placed; changing it replaces no task."),
    supported(
        _P + ".constraints",
        "`ATTRIBUTE==VALUE` or `!=`: `node.labels.NAME`, `node.id`, `node.hostname`, `node.role` (manager: a node that "
        "votes), `node.platform.os`, `node.platform.arch`. A node has to meet all of them.",
    ),
    supported(_P + ".preferences", "Tasks are spread evenly over the values of a label, and within them over nodes."),
    supported(_P + ".preferences[].spread", "The label: `node.labels.zone`, say."),
    supported(_P + ".max_replicas_per_node", "No node gets more tasks of the service than this."),
    supported(_S + "platform", "`linux/arm64`: only nodes of this platform get tasks."),
    supported(
        _V + "devices",
        "Devices that are kept for a task, by kind (`resources.devices` of a node). Those that a node has by name are "
        "given to it; `SWARMLET_DEVICES_KIND` in its environment names them.",
    ),
    supported(_V + "devices[].capabilities", "The first is the kind, `[gpu]`; required."),
    supported(_V + "devices[].count", "How many, or `all` that the node has, the default."),
    supported(_V + "devices[].device_ids", _IDS),
    *warned(_V + "devices[].driver", "has no effect, the kind of a device is its first capability"),
    *warned(_V + "devices[].options", "have no effect, a device is given as it is"),
    supported(_V + "generic_resources", "The same in Docker Swarm's words."),
    supported(_V + "generic_resources[].discrete_resource_spec", "A kind and how many."),
    supported(_V + "generic_resources[].discrete_resource_spec.kind", "The kind, as nodes call it; required."),
    supported(_V + "generic_resources[].discrete_resource_spec.value", "How many; required."),
    supported(_S + "gpus", "`all`, or a list like `reservations.devices`, of kind `gpu` unless it says another."),
    supported(_S + "gpus[].capabilities", "The first is the kind; `gpu` by default."),
    supported(_S + "gpus[].count", "How many, or `all` that the node has, the default."),
    supported(_S + "gpus[].device_ids", _IDS),
    *warned(_S + "gpus[].driver", "has no effect, the kind of a device is its first capability"),
    *warned(_S + "gpus[].options", "have no effect, a device is given as it is"),
    supported(
        _X + "priority",
        "-1000 to 1000, 0 by default. A task without room displaces tasks of a lower one, as few as will do.",
    ),
    supported(_X + "placement", "What Compose can't say of where tasks run."),
    supported(
        _X + "placement.strategy", "`spread` (the default): over as many nodes as there are; `binpack`: as few as do."
    ),
    *_wishes(_X + "placement.affinity", "Beside another service's tasks, or on certain nodes.", "preferred"),
    *_wishes(_X + "placement.anti_affinity", "Away from another service's tasks, or from certain nodes.", "avoided"),
    supported(_X + "tolerations", "Taints of nodes that tasks put up with; all that is given has to match."),
    supported(_X + "tolerations[].key", "The taint's key; any if not given."),
    supported(_X + "tolerations[].value", "Its value; any if not given."),
    supported(_X + "tolerations[].effect", "`no-schedule` or `no-execute`; both if not given."),
)
