"""What an export says."""

from typing import Any

from swarmlet.api.schema import Schema


class NoteView(Schema):
    """What could not be said in the other format."""

    service: str
    """Empty where it is about the stack."""
    key: str
    message: str


class ExportView(Schema):
    stack: str
    text: str
    """All documents as one YAML text, the notes as comments at its head."""
    documents: list[dict[str, Any]]
    notes: list[NoteView]
