"""Exclusive services: no task is made while another one of the service may run anywhere.

What counts is what is on record before this look: a task that this look tells to stop may have got a lease a moment
ago. So the replacement of one is always a decision of its own, made when the other one's node says that it stopped, or
when its lease is over and closed in the leader's book.
"""

from swarmlet.controllers.view import ClusterView
from swarmlet.model.objects import Service


def waits_for(view: ClusterView, service: Service) -> str:
    """Why no task of the service may be made now; empty where one may."""
    if not service.spec.template.exclusive:
        return ""
    for each in view.tasks_of(service.id):
        if each.runs or not view.is_dead(each):
            view.wake_after(each.lease_end)
            return f"waits until task {each.id} on {view.name_of(each.task.node)} has stopped or its lease has run out"
    return ""
