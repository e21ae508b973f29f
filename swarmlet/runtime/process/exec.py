"""Running a command beside a task's process: same environment, working folder and user, its own process group."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process

from swarmlet.runtime.interface import EXEC_OUTPUT_BYTES_MAX, ExecResult, ExecTimedOut
from swarmlet.runtime.process.accounts import STAY, user_ids

CANNOT_RUN = 126
NOT_FOUND = 127


async def run_beside(
    argv: tuple[str, ...], environment: dict[str, str], working_dir: str, user: str, timeout_s: float
) -> ExecResult:
    """As a shell does, 127 for a command that doesn't exist and 126 for one that can't be run."""
    uid, gid = user_ids(user)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            cwd=working_dir,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            user=None if uid == STAY else int(uid),
            group=None if gid == STAY else int(gid),
            extra_groups=None if gid == STAY else [],
        )
    except FileNotFoundError as error:
        return ExecResult(NOT_FOUND, f"{error.filename}: {error.strerror}")
    except OSError as error:
        return ExecResult(CANNOT_RUN, f"{error.filename}: {error.strerror}")
    try:
        async with asyncio.timeout(timeout_s):
            output = await _output(process)
            exit_code = await process.wait()
    except TimeoutError:
        raise ExecTimedOut(argv, timeout_s) from None
    finally:
        await _end(process)
    return ExecResult(exit_code if exit_code >= 0 else 128 - exit_code, output.decode(errors="replace"))


async def _output(process: Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while data := await process.stdout.read(EXEC_OUTPUT_BYTES_MAX):
        output += data[: EXEC_OUTPUT_BYTES_MAX - len(output)]
    return bytes(output)


async def _end(process: Process) -> None:
    """Whatever is left of the command's group goes, and its pipe with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
