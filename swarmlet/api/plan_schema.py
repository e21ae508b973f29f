"""What a plan says: what a deploy would do, service by service and task by task."""

from pydantic import Field

from swarmlet.api.schema import Schema


class FieldChangeView(Schema):
    key: str
    """As a Compose file calls it, where it has a name for it."""
    before: str | None
    """Null: not set. What may be secret is `(hidden)`."""
    after: str | None


class ServicePlanView(Schema):
    id: str
    name: str
    action: str
    """`add`, `change`, `remove` or `unchanged`."""
    image: str
    mode: str
    tasks_before: int
    """Those that are to run now; of a job, completions that its latest run has reached."""
    tasks_after: int
    """Those that are to run once all is done, as far as they can be placed."""
    wanted: int
    replaces_tasks: bool
    """It becomes another revision: the tasks that run are replaced."""
    fields: list[FieldChangeView] = Field(default_factory=list)
    problem: str = ""
    """What would be in the way."""
    per_node: dict[str, str] = Field(default_factory=dict)
    """By node name: why it can't take the tasks that have no place."""


class TaskPlanView(Schema):
    service: str
    slot: int
    node: str
    action: str
    """`create`, `replace` (a new one for one that stops) or `stop`."""
    image: str
    replaces: str = ""
    """The id of the task that stops for it."""
    task: str = ""
    """Of one that stops: its id. New ones get theirs when they are made."""
    reason: str = ""


class ImagePlanView(Schema):
    image: str
    nodes: list[str]
    """Nodes that would run new tasks of it and aren't known to have it."""
    pull_policy: str
    unbuilt: bool = False
    """Somebody has to build it: no registry is known to have it."""


class PlanView(Schema):
    stack: str
    revision: int
    """Of the state that it was made from."""
    changes: bool
    """A deploy would write something."""
    settled: bool
    """All services would be as declared in the end; else `problem` of a service says what is in the way."""
    services: list[ServicePlanView]
    tasks: list[TaskPlanView]
    elsewhere: list[TaskPlanView]
    """Tasks of other stacks that would start or stop because of it."""
    images: list[ImagePlanView]
    warnings: list[str] = Field(default_factory=list)
