"""How record writes travel and are reported: small ones as news at once, large ones by exchange only."""

from swarmlet.gossip.courier import Courier
from swarmlet.gossip.events import RecordChanged
from swarmlet.gossip.members import Members
from swarmlet.gossip.messages import NodeDelta, Record
from swarmlet.gossip.node_records import Change
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.records import Records
from swarmlet.model.ids import NodeId


class RecordNews:
    def __init__(self, records: Records, members: Members, courier: Courier, outbox: Outbox) -> None:
        self._records, self._members, self._courier, self._outbox = records, members, courier, outbox

    def set_own(self, key: str, value: bytes, now: float) -> bool:
        """False if the write is too large to travel as news."""
        return self._publish(self._records.set_own(key, value, now))

    def delete_own(self, key: str, now: float) -> bool:
        return self._publish(self._records.delete_own(key, now))

    def republish(self, generation: int) -> None:
        for record in self._records.raise_generation(generation):
            self._pass_on(record)
        self._courier.hurry()

    def hear(self, record: Record, sender: NodeId, now: float) -> None:
        changes = self._records.hear(record, sender == record.node_id, now)
        if changes is not None:
            self._pass_on(record)
            self._report(record.node_id, changes)

    def merge(self, found: NodeDelta, sender: NodeId, now: float) -> None:
        changes, news = self._records.merge(found, sender == found.node_id, now)
        if sender == found.node_id:
            # What a third party holds is on its way already.
            for record in news:
                self._pass_on(record)
        self._report(found.node_id, changes)

    def reveal(self, node_id: NodeId) -> None:
        """The node is known as a member now: report the records that came before it."""
        self._report(node_id, list(self._records.values(node_id).items()))

    def forget(self, node_id: NodeId) -> None:
        self._report(node_id, self._records.forget(node_id))

    def _publish(self, record: Record | None) -> bool:
        if record is None:
            return True
        self._outbox.emit(RecordChanged(record.node_id, record.key, record.value))
        self._courier.hurry()
        return self._pass_on(record)

    def _pass_on(self, record: Record) -> bool:
        return self._courier.spread(("record", record.node_id, record.key), record)

    def _report(self, node_id: NodeId, changes: list[Change]) -> None:
        if self._members.get(node_id) is not None:
            for key, value in changes:
                self._outbox.emit(RecordChanged(node_id, key, value))
