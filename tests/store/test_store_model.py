"""The store against a model of it that is too simple to be wrong: a list of whole states, one a revision."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from store_builders import TRANSACTIONS

from swarmlet.model.transaction import Put, RequestId, Transaction
from swarmlet.store import Store


@dataclass
class Model:
    states: list[dict[str, tuple[bytes, int, int]]] = field(default_factory=lambda: [{}])
    """States by revision: key -> (value, created, modified)."""
    seen: dict[str, tuple[int, tuple[bool, int]]] = field(default_factory=dict)

    def apply(self, transaction: Transaction) -> tuple[bool, int]:
        request = transaction.request
        if request is None:
            return self.execute(transaction)
        return self.apply_once(request, transaction)

    def apply_once(self, request: RequestId, transaction: Transaction) -> tuple[bool, int]:
        last, result = self.seen.get(request.client, (-1, (False, 0)))
        if request.sequence == last:
            return result
        if request.sequence < last:
            return False, len(self.states) - 1
        result = self.execute(transaction)
        self.seen[request.client] = (request.sequence, result)
        return result

    def execute(self, transaction: Transaction) -> tuple[bool, int]:
        now = self.states[-1]
        if any(now.get(c.key, (b"", 0, 0))[2] != c.revision for c in transaction.compares):
            return False, len(self.states) - 1
        after, revision = dict(now), len(self.states)
        for operation in transaction.operations:
            if isinstance(operation, Put):
                created = now[operation.key][1] if operation.key in now else revision
                after[operation.key] = (operation.value, created, revision)
            else:
                after.pop(operation.key, None)
        if after != now:
            self.states.append(after)
        return True, len(self.states) - 1


@given(st.lists(TRANSACTIONS, max_size=25))
def test_the_store_does_what_its_model_does(transactions: list[Transaction]) -> None:
    store, model = Store(), Model()

    for index, transaction in enumerate(transactions, start=1):
        result = store.apply(index, transaction)

        assert (result.succeeded, result.revision) == model.apply(transaction)
        assert store.revision == len(model.states) - 1
        assert [(o.key, (o.value, o.created_revision, o.modified_revision)) for o in store.scan("")] == sorted(
            model.states[-1].items()
        )


@given(st.lists(TRANSACTIONS, max_size=15))
def test_the_changes_since_any_revision_lead_from_it_to_the_present(transactions: list[Transaction]) -> None:
    store, model = Store(), Model()
    for index, transaction in enumerate(transactions, start=1):
        store.apply(index, transaction)
        model.apply(transaction)

    for revision, state in enumerate(model.states):
        replayed = {key: value for key, (value, _, _) in state.items()}
        for change in store.changes_since(revision):
            if change.value is None:
                del replayed[change.key]
            else:
                replayed[change.key] = change.value
        assert replayed == {found.key: found.value for found in store.scan("")}
