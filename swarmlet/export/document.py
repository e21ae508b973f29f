"""What an export is made of: documents, and notes on what they can't say; and both as one YAML text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Document = dict[str, Any]
"""A manifest, or a part of one, as it is written."""


@dataclass(frozen=True, slots=True)
class Note:
    service: str
    """Empty where it is about the stack."""
    key: str
    """As a Compose file calls it."""
    message: str

    def __str__(self) -> str:
        key = f"services.{self.service}.{self.key}".rstrip(".") if self.service else self.key
        return f"{key}: {self.message}"


@dataclass(frozen=True, slots=True)
class Exported:
    documents: tuple[Document, ...]
    notes: tuple[Note, ...]


@dataclass(slots=True)
class Notes:
    """Collects notes; each is told once."""

    found: dict[Note, None] = field(default_factory=dict)

    def of(self, service: str) -> "ServiceNotes":
        return ServiceNotes(self, service)


@dataclass(frozen=True, slots=True)
class ServiceNotes:
    notes: Notes
    service: str

    def add(self, key: str, message: str) -> None:
        self.notes.found.setdefault(Note(self.service, key, message))

    def add_if(self, is_said: object, key: str, message: str) -> None:
        """Note it where the key is there at all."""
        if is_said:
            self.add(key, message)


def said(document: Document) -> Document:
    """Without what is not said: None, and empty mappings and lists. A False, a 0 and an empty text stay."""
    return {key: value for key, value in document.items() if value is not None and value != {} and value != []}


def as_yaml(exported: Exported) -> str:
    """For people and `kubectl apply -f -`: the notes as comments first, then the documents."""
    return "".join(_lines(exported))


def _lines(exported: Exported) -> Iterator[str]:
    if exported.notes:
        yield "# What could not be said in these manifests:\n"
    for note in exported.notes:
        yield "".join(f"# {line}\n" for line in str(note).splitlines())
    for document in exported.documents:
        yield "---\n"
        yield yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out each time: anchors would be hard to read and to edit."""

    def ignore_aliases(self, data: object) -> bool:
        return True
