"""Whom a process is to run as: `user`, `user:group`, names or numbers, as Compose writes it."""

import grp
import os
import pwd

from swarmlet.runtime.interface import ContainerFailed

STAY = "-"


def user_ids(user: str) -> tuple[str, str]:
    """User and group id in the words of the supervisor; `-` to stay who the agent is."""
    if not user:
        return STAY, STAY
    name, _, group = user.partition(":")
    uid, own_group = _user(name)
    gid = _group(group) if group else own_group
    if (uid, gid) == (os.getuid(), os.getgid()):
        return STAY, STAY
    if os.geteuid() != 0:
        raise ContainerFailed(f"only an agent run by root can run a process as user {user}")
    return str(uid), str(gid)


def _user(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return int(name), 0
        raise ContainerFailed(f"this node has no user {name}") from None
    return entry.pw_uid, entry.pw_gid


def _group(name: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ContainerFailed(f"this node has no group {name}") from None
