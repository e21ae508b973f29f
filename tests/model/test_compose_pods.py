"""`x-swarmlet: pod`: services that can't share one network are refused where they say so."""

import pytest
from compose_builders import FILENAME, parse, the_error

from swarmlet.model.bonds import as_stored
from swarmlet.model.compose import check_stack
from swarmlet.model.rollout import Order


def a_pod(first: str = "", second: str = "") -> str:
    """The second member's pod is in line 5, column 34."""
    return (
        "services:\n"
        f"  a:\n    {{image: x, x-swarmlet: {{pod: front}}{first}}}\n"
        f"  b:\n    {{image: x, x-swarmlet: {{pod: front}}{second}}}\n"
    )


def test_members_that_agree_are_taken() -> None:
    assert parse(a_pod()).spec.services.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (", deploy: {replicas: 3}", "'a' has 1 replicas and 'b' has 3: give both as many"),
        (", deploy: {mode: global}", "'a' is replicated and 'b' is global: give both the same mode"),
        (", ports: ['81:80']", "'a' and 'b' both listen on port 80"),
        (", network_mode: host", "'b' has the network mode host: remove its 'network_mode'"),
        (", dns: 9.9.9.9", "'b' shares its network and can't have names of its own: remove dns"),
    ],
)
def test_one_that_does_not_fit_is_refused_where_it_names_the_pod(keys: str, message: str) -> None:
    error = the_error(a_pod(", ports: ['80:80']", keys))

    assert (error.line, error.column, error.key_path) == (5, 34, "services.b.x-swarmlet.pod")
    assert f"pod 'front': {message}" in str(error)


def test_all_that_does_not_fit_is_told_without_a_deploy() -> None:
    checked = check_stack("shop", a_pod("", ", deploy: {replicas: 3}, dns: 9.9.9.9"), FILENAME, {}, {})

    assert len(checked.errors) == 2


def test_members_are_replaced_stop_first() -> None:
    assert parse(a_pod()).spec.services["a"].rollout.update.order is Order.START_FIRST
    assert as_stored(parse(a_pod()).spec).services["a"].rollout.update.order is Order.STOP_FIRST
