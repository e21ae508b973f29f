"""A cluster whose nodes carry out jobs: each task starts, runs, and ends as the test says."""

from collections import defaultdict
from dataclasses import dataclass, field

from controllers_builders import FakeCluster, a_template

from swarmlet.controllers import job_commands
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.job import JobPolicy, JobRun, TaskOutcome
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Health, Liveness, Phase
from swarmlet.model.spec import Mode, RestartCondition, RestartPolicy, ServiceSpec, StackSpec

WORK = ServiceId("web.work")
ONCE = RestartPolicy(condition=RestartCondition.NEVER)


def a_job(version: str = "1", mode: Mode = Mode.REPLICATED, memory_mib: int = 0, **policy: object) -> StackSpec:
    template = a_template(version, memory_mib=memory_mib).model_copy(update={"restart": ONCE})
    spec = ServiceSpec(name="work", template=template, mode=mode, job=JobPolicy.model_validate(policy))
    return StackSpec(name="web", services={"work": spec})


@dataclass
class JobCluster(FakeCluster):
    failures: dict[int, int] = field(default_factory=dict)
    """By slot: so many tasks more will fail."""
    endless: bool = False
    """Tasks run until they are stopped."""
    exits: dict[int, set[TaskId]] = field(default_factory=lambda: defaultdict(set))
    """By exit status, what tasks really ended with."""

    def run(self) -> JobRun:
        """The latest."""
        return self.state.runs_of(WORK)[-1].value

    def runs(self) -> list[JobRun]:
        return [each.value for each in self.state.runs_of(WORK)]

    def alive_tasks(self) -> list[Task]:
        """Those whose containers run, or are about to, as their nodes know."""
        return [task for task in self.tasks(WORK) if self._may_run(task)]

    def _may_run(self, task: Task) -> bool:
        if self.nodes[task.node].liveness is not Liveness.ALIVE:
            return False
        status = self.status(task)
        if task.desired is Desired.STOP:
            return status is not None and status.phase in (Phase.RUNNING, Phase.STARTING, Phase.STOPPING)
        return status is None or status.phase is not Phase.EXITED

    def outcomes(self, outcome: TaskOutcome) -> list[Task]:
        return [task for task in self.tasks(WORK) if task.outcome is outcome]

    def _advance(self, task: Task) -> None:
        status = self.status(task)
        phase = status.phase if status else None
        if not task.run or phase in (None, Phase.EXITED, Phase.STOPPED, Phase.STOPPING):
            super()._advance(task)
        elif task.desired is Desired.STOP:
            self.publish(task, Phase.STOPPING)
        elif phase is Phase.STARTING:
            self.publish(task, Phase.RUNNING, Health.HEALTHY)
        elif not self.endless:
            code = 1 if self.failures.get(task.slot, 0) > 0 else 0
            self.failures[task.slot] = max(self.failures.get(task.slot, 0) - code, 0)
            self.exits[code].add(task.id)
            self.publish(task, Phase.EXITED, exit_code=code)

    def tick(self, seconds: float = 1.0) -> None:
        self.reconcile()
        self.nodes_act()
        self.now += seconds

    def until_over(self, rounds_max: int = 200) -> JobRun:
        for _ in range(rounds_max):
            self.tick()
            if self.runs() and not self.run().state.is_active:
                return self.run()
        raise AssertionError(f"not over after {rounds_max} rounds: {self.runs()}")


def ask_for_a_run(cluster: JobCluster, token: str = "t") -> bool:
    return cluster.commit(job_commands.run_now(cluster.state, WORK, token, (), cluster.now))
