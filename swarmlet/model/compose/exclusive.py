"""`x-swarmlet: exclusive: true`: at most one task at any moment. What contradicts it is refused here."""

from swarmlet.model.compose.deploy import Deploy
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.updates import RolloutExtension
from swarmlet.model.container import Namespace
from swarmlet.model.job import JobPolicy
from swarmlet.model.rollout import Order
from swarmlet.model.spec import Mode, TaskTemplate


def check_exclusive(
    node: Node, template: TaskTemplate, deploy: Deploy, rollout: RolloutExtension, job: JobPolicy | None
) -> None:
    if job is not None:
        raise refused(node, "can't be had for a job (yet), whose concurrency policy keeps its runs apart: remove this")
    if deploy.mode is Mode.GLOBAL:
        raise refused(node, "means one task in all, and 'mode: global' one on every node: remove one of the two")
    if deploy.replicas is not None and deploy.replicas > 1:
        raise refused(node, f"allows one task at most, and {deploy.replicas} are asked for: write 'replicas: 1'")
    if deploy.update is not None and deploy.update.order is Order.START_FIRST:
        raise refused(node, "can't be updated with 'order: start-first': write 'order: stop-first'")
    if rollout.canary is not None or rollout.blue_green:
        raise refused(node, "can't be updated by canary or blue-green, which run two at once: remove 'rollout'")
    if template.pod:
        raise refused(node, f"can't be had in a pod (yet): remove it, or 'pod: {template.pod}'")
    if Namespace.PID in template.options.host_namespaces:
        raise refused(node, "needs processes of its own to be ended for certain: remove 'pid: host'")
