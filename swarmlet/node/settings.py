"""The node loop's parameters, each with its reason. All times are seconds."""

from dataclasses import dataclass

from swarmlet.node.backoff import Backoff

RESTART = Backoff(first_s=0.1, longest_s=300.0)
IMAGE = Backoff(first_s=1.0, longest_s=300.0)
ENGINE = Backoff(first_s=0.5, longest_s=30.0)
READINESS = Backoff(first_s=0.05, longest_s=1.0)

MESSAGE_CHARS_MAX = 400
"""A status travels in one gossip datagram; an engine's error page does not fit there and nobody reads it whole."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    restart: Backoff = RESTART
    """Between the end of a container and its next start: a single crash hardly shows, a crash loop costs nothing."""
    restart_jitter: float = 0.2
    """So much of the delay, more or less: tasks that fail for one cause (a lost database) don't return as one."""
    park_after: int = 10
    """Failed runs in a row, within two minutes at least, after which a task is parked: nothing mends it by itself."""
    park_hopeless_after: int = 4
    """The same where the engine refuses the start, or the program can't be run at all (exit status 126 or 127)."""
    parked_s: float = 1800.0
    """A parked task is tried again this seldom: it costs nothing, and still comes back when the cause is mended."""
    restart_reset_after_s: float = 600.0
    """After so long in good health an exit counts as the first one again."""
    image: Backoff = IMAGE
    """Between attempts to get an image that could not be had."""
    engine: Backoff = ENGINE
    """Between attempts while the container engine does not answer or contradicts itself."""
    readiness: Backoff = READINESS
    """Between connection attempts to a task that has ports and no health check, until one succeeds."""
    readiness_timeout_s: float = 1.0
    """For one such attempt: it goes to an address on this host."""
    steady_s: float = 1.0
    """A task without ports and health check is ready when it has run for so long, once."""
    resync_s: float = 30.0
    """The slow comparison with what the engine really has: catches whatever an event stream may have lost."""
    orphan_grace_s: float = 10.0
    """Grace for a container whose task object is unknown: Compose's default."""
    exit_doubt_s: float = 2.0
    """An exit told within so long after a start may be a late word about the run before: looked into first."""
    image_timeout_s: float = 900.0
    """One pull: the largest images over a slow line."""
    call_timeout_s: float = 300.0
    """One create or start, including its wait for a free worker when hundreds arrive at once."""
    query_timeout_s: float = 30.0
    """One listing or removal; also added to the grace period when stopping, and to a command probe's own timeout."""
