"""Compose files: text -> `StackSpec`, with the line and the remedy for whatever cannot be had.

Source: https://github.com/compose-spec/compose-spec. Pure, but not free: a file of the largest size allowed takes some
seconds, so a caller with an event loop parses in a thread.
"""

from swarmlet.model.compose.env_file import parse_env_file
from swarmlet.model.compose.errors import ComposeError, ComposeWarning
from swarmlet.model.compose.inputs import NeededInputs, needed_inputs
from swarmlet.model.compose.source import FILE_BYTES_MAX
from swarmlet.model.compose.stack import ParsedStack, parse_stack

__all__ = [
    "FILE_BYTES_MAX",
    "ComposeError",
    "ComposeWarning",
    "NeededInputs",
    "ParsedStack",
    "needed_inputs",
    "parse_env_file",
    "parse_stack",
]
