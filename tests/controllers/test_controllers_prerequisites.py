"""Init services: when they run, what waits for them, and what becomes of their failures."""

from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.controllers import stacks
from swarmlet.model.bonds import own_revision
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Health, Liveness, Phase
from swarmlet.model.rollout import FailureAction
from swarmlet.model.spec import DependencyCondition, RestartCondition, RestartPolicy, StackSpec

MIGRATE = ServiceId("web.migrate")
DB = ServiceId("web.db")
COMPLETED, HEALTHY = DependencyCondition.COMPLETED, DependencyCondition.HEALTHY


def a_migrated_stack(version: str = "1", replicas: int = 2, optional: bool = False, migrate: str = "m") -> StackSpec:
    once = a_template(migrate).model_copy(update={"restart": RestartPolicy(condition=RestartCondition.NEVER)})
    app = a_service(replicas=replicas, template=a_template(version), depends_on={"migrate": COMPLETED})
    if optional:
        app = app.model_copy(update={"optional_dependencies": ("migrate",)})
    return a_stack(a_service("migrate", template=once), app)


def migration(cluster: FakeCluster) -> Task:
    return cluster.running(MIGRATE)[-1]


def end_migration(cluster: FakeCluster, exit_code: int = 0) -> None:
    """Leader and nodes go on until a migration runs, and that ends."""
    for _ in range(20):
        cluster.reconcile()
        for task in cluster.running(MIGRATE):
            status = cluster.status(task)
            if status is None or status.phase is not Phase.EXITED:
                cluster.publish(task, Phase.EXITED, exit_code=exit_code)
                return
        cluster.nodes_act()
        cluster.now += 1
    raise AssertionError("no migration was started")


def an_updated_cluster() -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_migrated_stack())
    end_migration(cluster)
    cluster.settle()
    return cluster


def images(cluster: FakeCluster) -> set[str]:
    return {task.template.image for task in cluster.ready()}


def test_a_service_waits_until_its_init_service_has_ended_well() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_migrated_stack())

    cluster.reconcile()
    cluster.nodes_act()
    cluster.nodes_act()
    outcome = cluster.reconcile()
    assert cluster.tasks() == []
    assert outcome.problems[APP].message == "waits for migrate (0 of 1 tasks ended with status 0)"

    end_migration(cluster)
    assert cluster.settle().problems == {}
    assert len(cluster.ready()) == 2


def test_an_init_service_runs_before_each_new_revision_and_the_old_one_serves_meanwhile() -> None:
    cluster = an_updated_cluster()
    first = migration(cluster)

    cluster.deploy(a_migrated_stack("2"))
    for _ in range(5):
        cluster.reconcile()
        cluster.nodes_act()
        assert images(cluster) == {"web:1"}
    assert migration(cluster).id != first.id

    cluster.publish(migration(cluster), Phase.EXITED, exit_code=0)
    cluster.settle()
    assert images(cluster) == {"web:2"}


def test_nothing_runs_again_where_nothing_changed_or_only_the_number() -> None:
    cluster = an_updated_cluster()
    before = cluster.tasks(MIGRATE)

    assert stacks.deploy(cluster.state, a_migrated_stack(), cluster.now).operations == ()
    cluster.deploy(a_migrated_stack(replicas=4))
    cluster.settle()

    assert len(cluster.ready()) == 4
    assert cluster.tasks(MIGRATE) == before


def test_the_loss_of_its_node_does_not_run_an_init_service_again() -> None:
    cluster = an_updated_cluster()
    done = migration(cluster)
    assert done.ended_with == 0

    cluster.forget_statuses()
    cluster.set_liveness(done.node, Liveness.DEAD)
    cluster.settle()

    assert [task.id for task in cluster.running(MIGRATE)] == [done.id]
    assert {task.node for task in cluster.ready()} == {NodeId("n1"), NodeId("n2")} - {done.node}


def test_a_first_deploy_says_why_its_init_service_failed() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_migrated_stack())
    end_migration(cluster, exit_code=3)

    outcome = cluster.settle()

    assert "waits for migrate, which ended with exit status 3" in outcome.problems[APP].message
    assert cluster.tasks() == []


def test_a_failed_init_service_takes_the_revision_back_that_it_ran_for() -> None:
    cluster = an_updated_cluster()
    cluster.deploy(a_migrated_stack("2"))
    end_migration(cluster, exit_code=3)
    cluster.settle()

    service = cluster.state.services[APP].value
    assert service.spec.template.image == "web:1"
    rollout = cluster.state.rollouts[APP].value
    assert rollout.rollback and "waits for migrate, which ended with exit status 3" in rollout.reason
    assert images(cluster) == {"web:1"}
    assert "web:2" not in {task.template.image for task in cluster.tasks()}
    assert migration(cluster).ended_with == 3, "an older migration would not undo it"


def test_the_same_deploy_again_runs_an_init_service_again_that_ended_badly() -> None:
    cluster = an_updated_cluster()
    cluster.deploy(a_migrated_stack("2"))
    end_migration(cluster, exit_code=3)
    cluster.settle()
    failed = migration(cluster)

    cluster.deploy(a_migrated_stack("2"))
    end_migration(cluster)
    cluster.settle()

    assert migration(cluster).id != failed.id
    assert images(cluster) == {"web:2"}


def test_a_rolled_back_service_does_not_wait_for_what_ran_for_the_later_one() -> None:
    cluster = an_updated_cluster()
    cluster.bad_images.add("web:2")
    cluster.restarts_of_bad = 3
    cluster.deploy(a_migrated_stack("2"))
    end_migration(cluster)

    for _ in range(40):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1

    assert images(cluster) == {"web:1"} and len(cluster.ready()) == 2
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()
    assert len(cluster.ready()) == 2


def test_an_init_service_never_runs_beside_itself() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_migrated_stack("1"))
    for _ in range(3):
        cluster.reconcile()
        cluster.nodes_act()
    first = migration(cluster)
    cluster.deploy(a_migrated_stack("2"))
    cluster.reconcile()
    cluster.reconcile()

    assert [task.id for task in cluster.tasks(MIGRATE)] == [first.id]
    end_migration(cluster)
    assert len(cluster.tasks(MIGRATE)) >= 1


def test_an_optional_dependency_that_fails_holds_nobody_up() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_migrated_stack(optional=True))
    end_migration(cluster, exit_code=1)
    cluster.settle()

    assert len(cluster.ready()) == 2

    db = a_service("db", template=a_template("db"))
    app = a_service(depends_on={"db": HEALTHY}).model_copy(update={"optional_dependencies": ("db",)})
    other = FakeCluster.of("n1")
    other.deploy(a_stack(db, app))
    other.reconcile()
    (task,) = other.tasks(DB)
    other.publish(task, Phase.RUNNING)
    other.reconcile()
    assert other.tasks() == [], "it may still get ready"
    other.publish(task, Phase.RUNNING, Health.UNHEALTHY)
    other.reconcile()
    assert len(other.tasks()) == 1


def test_a_new_revision_of_a_dependency_replaces_those_that_restart_with_it_after_it_is_ready() -> None:
    def spec(version: str, restart: bool = True) -> StackSpec:
        app = a_service(template=a_template("app"), depends_on={"db": HEALTHY})
        app = app.model_copy(update={"restarts_with": ("db",) if restart else ()})
        return a_stack(a_service("db", template=a_template(version)), app)

    cluster = FakeCluster.of("n1")
    cluster.deploy(spec("1"))
    cluster.settle()
    (before,) = cluster.ready()

    cluster.deploy(spec("2"))
    outcome = cluster.reconcile()
    assert "waits for db (0 of 1 tasks ready)" in outcome.problems[APP].message
    assert [task.id for task in cluster.running()] == [before.id]
    cluster.settle()
    (after,) = cluster.ready()
    assert after.id != before.id
    assert own_revision(after.template) == own_revision(before.template)

    cluster.deploy(spec("2", restart=False))
    cluster.settle()
    (kept,) = cluster.ready()
    cluster.deploy(spec("3", restart=False))
    cluster.settle()
    assert [task.id for task in cluster.ready()] == [kept.id]


def test_an_init_service_that_fails_is_judged_by_nobody_else() -> None:
    stored = stacks.deploy(FakeCluster.of("n1").state, a_migrated_stack(), 0.0)
    cluster = FakeCluster.of("n1")
    assert cluster.commit(stored)

    assert cluster.state.services[MIGRATE].value.spec.rollout.update.failure_action is FailureAction.CONTINUE
    assert cluster.state.services[APP].value.spec.rollout.update.failure_action is FailureAction.ROLLBACK


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), st.sampled_from("123")),
        st.tuples(st.just("end"), st.sampled_from([0, 0, 3])),
        st.tuples(st.just("act"), st.just("")),
        st.tuples(st.just("scale"), st.sampled_from([1, 2, 3])),
        st.tuples(st.just("lose"), st.sampled_from(["n1", "n2", "n3"])),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_no_new_revision_starts_before_a_run_for_it_has_ended_well(steps: list[tuple[str, object]]) -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    prepared: set[str] = set()
    replicas, version = 2, "1"
    cluster.deploy(a_migrated_stack(version, replicas))
    for what, value in steps:
        match what:
            case "deploy":
                version = str(value)
                cluster.deploy(a_migrated_stack(version, replicas))
            case "scale":
                replicas = int(str(value))
                cluster.deploy(a_migrated_stack(version, replicas))
            case "end":
                for task in cluster.running(MIGRATE):
                    status = cluster.status(task)
                    if status is not None and status.phase is Phase.RUNNING:
                        cluster.publish(task, Phase.EXITED, exit_code=value)
                        prepared |= {task.template.bound_to["app"]} if value == 0 else set()
            case "lose":
                alive = [node for node in cluster.nodes.values() if node.liveness is Liveness.ALIVE]
                if len(alive) > 1:
                    cluster.set_liveness(str(value), Liveness.DEAD)
            case _:
                cluster.nodes_act()
        cluster.now += 1
        cluster.reconcile()
        assert {own_revision(task.template) for task in cluster.tasks()} <= prepared
        running = [
            task
            for task in cluster.tasks(MIGRATE)
            if (status := cluster.status(task)) is not None
            and status.phase in (Phase.STARTING, Phase.RUNNING)
            and cluster.nodes[task.node].liveness is Liveness.ALIVE
        ]
        assert len(running) <= 1

    # Whatever happened, the next deploy brings the stack about when its migration ends well.
    cluster.deploy(a_migrated_stack("4", 2))
    for _ in range(60):
        for task in cluster.running(MIGRATE):
            status = cluster.status(task)
            if status is not None and status.phase is Phase.RUNNING:
                cluster.publish(task, Phase.EXITED, exit_code=0)
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
    assert {task.template.image for task in cluster.running() if task.desired is Desired.RUN} == {"web:4"}
    assert len(cluster.ready()) == 2
