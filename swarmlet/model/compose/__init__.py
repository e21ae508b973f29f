"""Compose files: text -> `StackSpec`, with the line and the remedy for whatever cannot be had.

Source: https://github.com/compose-spec/compose-spec. Pure, but not free: a file of the largest size allowed takes some
seconds, so a caller with an event loop parses in a thread.
"""

from swarmlet.model.compose.assembly import Source
from swarmlet.model.compose.env_file import parse_env_file
from swarmlet.model.compose.errors import ComposeError, ComposeWarning
from swarmlet.model.compose.inputs import NeededInputs, needed_inputs
from swarmlet.model.compose.source import FILE_BYTES_MAX
from swarmlet.model.compose.stack import CheckedStack, Given, ParsedStack, Unbuilt, check_stack, parse_stack
from swarmlet.model.compose.stored_files import FILE_BYTES_MAX as CONTENT_BYTES_MAX

__all__ = [
    "CONTENT_BYTES_MAX",
    "FILE_BYTES_MAX",
    "CheckedStack",
    "ComposeError",
    "ComposeWarning",
    "Given",
    "NeededInputs",
    "ParsedStack",
    "Source",
    "Unbuilt",
    "check_stack",
    "needed_inputs",
    "parse_env_file",
    "parse_stack",
]
