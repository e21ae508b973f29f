"""Transactions for tests, short to write, and hypothesis strategies for them."""

from hypothesis import strategies as st

from swarmlet.model.transaction import Compare, Delete, Operation, Put, RequestId, Transaction


def a_transaction(
    *operations: Operation, compares: tuple[Compare, ...] = (), request: RequestId | None = None, reason: str = ""
) -> Transaction:
    return Transaction(compares, operations, request, reason)


def a_put(key: str = "tasks/a", value: bytes = b"one") -> Put:
    return Put(key, value)


KEYS = st.sampled_from(["nodes/a", "services/web", "services/web2", "tasks/1", "tasks/2", "tasks/é"])
VALUES = st.binary(max_size=8)
OPERATIONS = st.one_of(st.builds(Put, KEYS, VALUES), st.builds(Delete, KEYS))
COMPARES = st.builds(Compare, KEYS, st.integers(0, 12))
REQUESTS = st.builds(RequestId, st.sampled_from(["alice", "bob"]), st.integers(0, 6))
TRANSACTIONS = st.builds(
    Transaction,
    st.lists(COMPARES, max_size=2).map(tuple),
    st.lists(OPERATIONS, max_size=4).map(tuple),
    st.none() | REQUESTS,
    st.sampled_from(["", "scaled up"]),
)
