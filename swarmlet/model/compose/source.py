"""YAML text -> tree with marks, before aliases are expanded.

PyYAML's events are read one by one, never its constructors: no tag can create an object, no plain scalar is turned
into a YAML 1.1 boolean or a sexagesimal number, and every limit applies before the text behind it is read. An alias
shares its anchor's node here; `expansion` copies it to each place of use, under a budget.
"""

from collections.abc import Iterator

import yaml

from swarmlet.model.compose.errors import ComposeError, refusal
from swarmlet.model.compose.marks import Entry, Mapping, Node, Place, Scalar, Sequence, Tag, shown

FILE_BYTES_MAX = 1024 * 1024
"""A hundred times the largest Compose file people write by hand."""
DEPTH_MAX = 64
"""Compose itself nests 9 deep; extension keys may nest deeper."""
MERGE_KEY = "<<"

_YAML_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_YAML_TAG + name for name in ("int", "float", "bool", "null", "merge"))
_STRING_TAGS = frozenset({"!", _YAML_TAG + "str"})
_MERGE_TAGS = {tag.value: tag for tag in (Tag.RESET, Tag.OVERRIDE)}
_COLLECTION_TAGS = frozenset({"!", _YAML_TAG + "seq", _YAML_TAG + "map"})
# libyaml is some twenty times faster and part of PyYAML's wheels; the pure loader reads the same.
_Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_size(text: str, filename: str) -> None:
    # Every character is one byte at least, so encoding is only needed below the limit.
    if len(text) > FILE_BYTES_MAX or len(text.encode(errors="replace")) > FILE_BYTES_MAX:
        raise ComposeError(filename, 1, 1, "", f"larger than {FILE_BYTES_MAX >> 20} MiB, split it into several stacks")


def read_tree(text: str, filename: str) -> Node:
    """The one document of the text. Raises `ComposeError` on what is not YAML, too large or too deep."""
    check_size(text, filename)
    try:
        return _Source(filename, yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(filename, mark.line, mark.column) if mark else Place(filename, 1, 1)
        raise refusal(place, "", _syntax_message(error)) from error
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        message = "a character that YAML does not allow, remove it (or write it as an escape in double quotes)"
        raise refusal(_forbidden_character(text, filename), "", message) from error


class _Source:
    def __init__(self, filename: str, events: Iterator[yaml.Event]) -> None:
        self._filename = filename
        self._events = events
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        start = next(self._events)
        if isinstance(start, yaml.StreamEndEvent):
            raise self._refused(start, "the file is empty, write 'services:' with at least one service")
        root = self._node(next(self._events), depth=0)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refused(after, "a second YAML document, write one stack a file and remove the '---' here")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise self._refused(event, f"nested deeper than {DEPTH_MAX} levels, write it flatter")
        node: Node
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.ScalarEvent():
                node = self._scalar(event)
            case yaml.SequenceStartEvent():
                tag = self._collection_tag(event)
                node = Sequence(self._place(event), "", tuple(self._items(depth)), tag)
            case yaml.MappingStartEvent():
                tag = self._collection_tag(event)
                node = Mapping(self._place(event), "", tuple(self._entries(depth)), tag)
            case _:
                raise AssertionError(f"unexpected YAML event {event}")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        found = self._anchors.get(event.anchor or "")
        if found is None:
            name = event.anchor
            raise self._refused(event, f"alias *{name} has no finished anchor before it, write &{name} at its content")
        return found

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        tag = event.tag
        if tag is None:
            return Scalar(self._place(event), "", event.value, plain=not event.style)
        if tag in _MERGE_TAGS:
            return Scalar(self._place(event), "", event.value, not event.style, _MERGE_TAGS[tag])
        if tag not in _PLAIN_TAGS and tag not in _STRING_TAGS:
            raise self._refused(event, f"the tag {shown(tag)} has no meaning here, remove it")
        return Scalar(self._place(event), "", event.value, plain=tag in _PLAIN_TAGS)

    def _collection_tag(self, event: yaml.CollectionStartEvent) -> Tag:
        if event.tag is None or event.tag in _COLLECTION_TAGS:
            return Tag.MERGE
        if event.tag not in _MERGE_TAGS:
            raise self._refused(event, f"the tag {shown(event.tag)} has no meaning here, remove it")
        return _MERGE_TAGS[event.tag]

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, depth + 1)
            if item.tag is not Tag.MERGE:
                raise self._refused(event, f"the tag {item.tag} belongs before the value of a key, write it there")
            yield item

    def _entries(self, depth: int) -> Iterator[Entry]:
        seen: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            place = self._place(event)
            if not isinstance(key, Scalar):
                raise refusal(place, "", f"a key must be a string, not {key.kind}, write a name before the ':'")
            if key.text in seen:
                raise refusal(place, "", _duplicate_message(key.text, seen[key.text]))
            seen[key.text] = place.line
            yield Entry(key.text, place, self._node(next(self._events), depth + 1))

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None, "the parser marks every event"
        return _place(self._filename, mark.line, mark.column)

    def _refused(self, event: yaml.Event, message: str) -> ComposeError:
        return refusal(self._place(event), "", message)


def _duplicate_message(key: str, first_line: int) -> str:
    if key == MERGE_KEY:
        return f"a second '<<' (the first is in line {first_line}), write one: <<: [*a, *b]"
    return f"the key {shown(key)} is already in line {first_line}, remove one of the two"


def _place(filename: str, line: int, column: int) -> Place:
    """Marks count from 0, people from 1."""
    return Place(filename, line + 1, column + 1)


def _forbidden_character(text: str, filename: str) -> Place:
    # The two loaders count offsets differently (bytes, characters), so neither's is used.
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    offset = found.start() if found else 0
    return Place(filename, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join((error.problem or "cannot be read").split())
    remedy = "check the indentation, the colons and the quotes here and just above"
    if "token" in problem and ("\\t" in problem or "tab" in problem or "cannot start any" in problem):
        remedy = "write spaces for tabs, and quotes around text that begins with @, ` or %"
    elif "expected ',' or" in problem:
        remedy = "close the bracket, and write quotes around values with { } [ ] or , inside of brackets"
    return f"not valid YAML ({problem}), {remedy}"
