"""The root of swarmlet's error tree.

Each package grows its own small branch below `SwarmletError`. Errors carry data in attributes, so that the
API and the command line can phrase them once; `str(error)` is always one line that a user can act on.
"""


class SwarmletError(Exception):
    """Something that may happen in operation and that a caller is expected to handle or to show."""
