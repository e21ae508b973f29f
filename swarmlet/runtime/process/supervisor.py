"""The small process beside each task's process: it outlives the agent, keeps the logs, and records the end.

Started as `python -I -S -E supervisor.py FOLDER RUN UID GID WORKING_DIR PORTS LOG_BYTES_MAX LEASE COMMAND…`, with
the task's environment as its own; UID and GID are `-` to stay who it is, LEASE is `-` or the file of an exclusive
task's lease. It imports the standard library's smallest parts only (13 ms to start, under 3 MB of its own), and nothing
of swarmlet.

Rules:
- It detaches first; what it writes to standard output before closing it is `ok`, or why the command can't run.
- `run` and `exit` in FOLDER are replaced as a whole: a reader sees an old one or a new one, never a half.
- SIGTERM goes on to the task's whole process group. When the task's process ends, the rest of its group is
  killed, as a container's would be.
- It ends after `exit` is written. An end without `exit` means it was killed itself.
- An exclusive task's group is killed when its lease has run out (see `lease_files`), its first process also when the
  supervisor is.
"""

import os
import select
import signal
import sys
import time

READ_BYTES = 65_536
LINE_BYTES_MAX = 65_536
FAILED_TO_START = 127
NO_LEASE = "-"
LEASE_LOOK_MS = 250
LAPSED = 75
"""As `swarmlet.runtime.interface` says."""
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    folder, run, uid, gid, working_dir, ports, log_bytes_max, lease, *command = arguments
    if os.fork():
        os._exit(0)
    os.setsid()
    if lease != NO_LEASE and not is_leased(lease):
        report(b"it has no lease")
        os._exit(LAPSED)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Held back until there is a group to pass it on to.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    trouble_read, trouble_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        become_task(command, working_dir, uid, gid, stdout_write, stderr_write, trouble_write, lease)
    for fd in (stdout_write, stderr_write, trouble_write):
        os.close(fd)
    trouble = read_all(trouble_read)
    if trouble:
        os.waitpid(pid, 0)
        report(trouble)
        os._exit(FAILED_TO_START)
    signal.signal(signal.SIGTERM, lambda *_: to_group(pid, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    me = os.getpid()
    record = f"{run} {me} {start_ticks(me)} {pid} {start_ticks(pid)} {time.time():.6f} {ports or '-'}\n"
    replace_file(folder + "/run", record.encode())
    report(b"ok")
    exit_code = follow(pid, {stdout_read: b"o", stderr_read: b"e"}, Log(folder, int(log_bytes_max)), lease)
    replace_file(folder + "/exit", f"{run} {exit_code} {time.time():.6f}\n".encode())
    os._exit(0)


def become_task(
    command: list[str], working_dir: str, uid: str, gid: str, stdout: int, stderr: int, trouble: int, lease: str
) -> None:
    """In the child: never returns. Its last words go into the trouble pipe, which a successful exec closes."""
    try:
        # Before the user changes: he may not be able to read Python's library, from which this loads a part.
        programs = [command[0]] if "/" in command[0] else [f"{at}/{command[0]}" for at in os.get_exec_path()]
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((nothing, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.chdir(working_dir)
        if gid != "-":
            os.setgroups([int(gid)])
            os.setgid(int(gid))
        if uid != "-":
            os.setuid(int(uid))
        if lease != NO_LEASE:
            die_with_parent()
        execute(programs, command)
    except OSError as error:
        about = error.filename if isinstance(error.filename, str) else command[0]
        os.write(trouble, f"{about}: {error.strerror}".encode())
    except Exception as error:  # noqa: BLE001  (the child must not go on as a second supervisor)
        os.write(trouble, repr(error).encode())
    finally:
        os._exit(FAILED_TO_START)


def execute(programs: list[str], command: list[str]) -> None:
    """The first of the programs that exists; raises `OSError` when none can be run."""
    denied: OSError | None = None
    for program in programs:
        try:
            os.execve(program, command, os.environ)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            denied = error
    raise denied or FileNotFoundError(2, "No such file or directory", command[0])


def follow(pid: int, streams: dict[int, bytes], log: "Log", lease: str) -> int:
    """Copy the task's output into its log until it ends; its exit code."""
    look_ms = None if lease == NO_LEASE else LEASE_LOOK_MS
    unfinished = dict.fromkeys(streams, b"")
    ended = os.pidfd_open(pid)
    poll = select.poll()
    for fd in (*streams, ended):
        poll.register(fd, select.POLLIN)
    alive = True
    while alive:
        if look_ms is not None and not is_leased(lease):
            break
        for fd, _ in poll.poll(look_ms):
            if fd == ended:
                alive = False
            elif not copy(fd, streams[fd], unfinished, log):
                poll.unregister(fd)
    # Before its id is given back by waiting for it.
    to_group(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    for fd, name in streams.items():
        # What is in the pipe still, but no waiting: a grandchild that left the group may hold it open.
        os.set_blocking(fd, False)
        while copy(fd, name, unfinished, log):
            pass
        if unfinished[fd]:
            log.write(name, unfinished[fd])
    if alive:
        return LAPSED
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def is_leased(lease: str) -> bool:
    try:
        boot_id, until = read_file(lease).split()
        up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return boot_id == read_file("/proc/sys/kernel/random/boot_id").strip() and up_s * 100 < int(until)
    except (OSError, ValueError):
        return False


def read_file(path: str) -> str:
    with open(path, encoding="ascii") as opened:  # noqa: PTH123
        return opened.read()


def die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def copy(fd: int, name: bytes, unfinished: dict[int, bytes], log: "Log") -> bool:
    """Whole lines only; False when there is no more."""
    try:
        data = os.read(fd, READ_BYTES)
    except BlockingIOError:
        return False
    *lines, rest = (unfinished[fd] + data).split(b"\n")
    for line in lines:
        log.write(name, line)
    if len(rest) > LINE_BYTES_MAX:
        log.write(name, rest)
        rest = b""
    unfinished[fd] = rest
    return bool(data)


class Log:
    """Lines `TIME o|e TEXT` in `log`; when half the limit is full it becomes `log.1`, and the one before goes."""

    def __init__(self, folder: str, bytes_max: int) -> None:
        self.path = folder + "/log"
        self.half = bytes_max // 2
        self.fd = -1
        self.size = 0
        self.open()

    def open(self) -> None:
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.fd).st_size

    def write(self, name: bytes, text: bytes) -> None:
        line = b"%.6f %s %s\n" % (time.time(), name, text)
        try:
            if self.size and self.size + len(line) > self.half:
                os.close(self.fd)
                os.rename(self.path, self.path + ".1")  # noqa: PTH104  (pathlib costs as much as all the rest)
                self.open()
            self.size += os.write(self.fd, line)
        except OSError:
            # A full disk costs log lines, not the task.
            return


def start_ticks(pid: int) -> int:
    """With the pid it names a process for good: a pid alone is given out again."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return int(os.read(fd, 4096).rpartition(b")")[2].split()[19])
    finally:
        os.close(fd)


def to_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def read_all(fd: int) -> bytes:
    content = b""
    while data := os.read(fd, READ_BYTES):
        content += data
    os.close(fd)
    return content


def report(words: bytes) -> None:
    os.write(1, words)
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)


def replace_file(path: str, content: bytes) -> None:
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(fd, content)
    os.close(fd)
    os.rename(path + ".new", path)  # noqa: PTH104


if __name__ == "__main__":
    main(sys.argv[1:])
