"""`swarmlet job …`: declared jobs and their runs: begin one, follow it, read its logs, cancel it."""

import secrets
import sys
import time
from typing import Annotated

import typer

from swarmlet.api.jobs_schema import JobDetailView, JobView, RunDetailView, RunReply, RunRequest, RunView
from swarmlet.api.schema import Listing, LogLineView, WriteReply
from swarmlet.cli import following
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.output import Output, OutputOption, age, show_json, show_table
from swarmlet.errors import SwarmletError

POLL_S = 0.2

job_app = typer.Typer(no_args_is_help=True, help="Jobs: run one now, see what became of its runs, read their logs.")

JobArgument = Annotated[str, typer.Argument(metavar="STACK.JOB")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN|STACK.JOB", help="A run's id, or a job: its latest run.")]


class RunFailed(SwarmletError):
    def __init__(self, run: RunView) -> None:
        verb = "was" if run.state == "cancelled" else "has"
        super().__init__(f"{run.job}: run {run.number} ({run.id}) {verb} {run.state}: {run.reason}")
        self.run = run


class NotOver(SwarmletError):
    def __init__(self, run: RunView, timeout_s: float) -> None:
        super().__init__(f"{run.job}: run {run.number} ({run.id}) is not over after {timeout_s:g} s: {_line(run)}")
        self.run = run


class NoRunYet(SwarmletError):
    def __init__(self, job: str) -> None:
        super().__init__(f"{job} has not run yet: 'swarmlet job run {job}' does it now")


class NothingKept(SwarmletError):
    def __init__(self, run: RunView) -> None:
        why = "no task of it was started" if not run.started_at else "its tasks are forgotten by now"
        super().__init__(f"{run.job}: run {run.number} ({run.id}) has no logs: {why}")


@job_app.command("run")
def run_job(
    job: JobArgument,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Until it is over; exit status 1 unless it has succeeded.")
    ] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait; the run goes on.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a declared job now, once, beside its schedule if it has one."""
    client = Client.from_environment()
    request = RunRequest(token=secrets.token_hex(16))
    reply = client.request("POST", path_to("jobs", job, "runs"), request).parse(RunReply)
    if not wait:
        show_json(reply) if output is Output.JSON else print(f"{job}: run {reply.run} begins")
        return
    run = _wait_over(client, reply, timeout, quiet=output is Output.JSON)
    if output is Output.JSON:
        show_json(run)
    if run.state != "succeeded":
        raise RunFailed(run)
    if output is Output.TABLE:
        print(f"{job}: run {run.number} ({run.id}) has succeeded after {_lasted(run)}")


@job_app.command("list")
def list_jobs(
    stack: Annotated[str | None, typer.Argument(help="Only this stack's.")] = None, output: OutputOption = Output.TABLE
) -> None:
    """The declared jobs, when each is due, and what became of its latest run."""
    listing = Client.from_environment().get("/v1/jobs", Listing[JobView], stack=stack)
    show_table(
        listing.items,
        [
            ("JOB", lambda job: job.id),
            ("MODE", lambda job: job.mode),
            ("SCHEDULE", lambda job: f"{job.schedule} {job.time_zone}" if job.schedule else "-"),
            ("NEXT", lambda job: _at(job.next_at)),
            ("LAST", lambda job: job.last.id if job.last else "-"),
            ("STATE", lambda job: job.last.state if job.last else "-"),
            ("DONE", lambda job: _done(job.last) if job.last else "-"),
            ("MISSED", lambda job: job.missed or ""),
            ("SKIPPED", lambda job: job.skipped or ""),
            ("PROBLEM", lambda job: job.problem or (job.last.reason if job.last else "")),
        ],
        output,
    )


@job_app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="STACK.JOB|RUN", help="A job with its runs, or a run by its id.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """A job with its runs, or a run with its tasks."""
    client = Client.from_environment()
    if "." not in target:
        _show_run(client.get(path_to("runs", target), RunDetailView), output)
        return
    job = client.get(path_to("jobs", target), JobDetailView)
    if output is Output.JSON:
        show_json(job)
        return
    print(f"job       {job.id}, {job.mode}, image {job.image}")
    print(f"run       {_rules(job)}")
    if job.schedule:
        print(f"schedule  {job.schedule} {job.time_zone}, {job.concurrency} others meanwhile, next {_at(job.next_at)}")
    if job.missed:
        print(f"missed    {job.missed} times nobody was there to begin it, the last time {_at(job.missed_last)}")
    if job.skipped:
        print(f"skipped   {job.skipped} times an earlier run was in the way, the last time {_at(job.skipped_last)}")
    if job.problem:
        print(f"problem   {job.problem}")
    show_table(
        job.runs,
        [
            ("RUN", lambda run: run.id),
            ("NUMBER", lambda run: run.number),
            ("STATE", lambda run: run.state),
            ("DONE", _done),
            ("FAILED", lambda run: run.failed or ""),
            ("LOST", lambda run: run.lost or ""),
            ("CAUSE", lambda run: run.cause),
            ("BEGUN", lambda run: _at(run.created_at)),
            ("LASTED", _lasted),
            ("REASON", lambda run: run.reason),
        ],
        output,
    )


@job_app.command()
def logs(
    target: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="Only the last lines of each task.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the logs of a run's tasks, also long after its end: as long as the run is kept."""
    client = Client.from_environment()
    run = client.get(path_to("runs", _run_id(client, target)), RunDetailView)
    slots = {task.id: task.slot for task in run.tasks}
    if not slots:
        raise NothingKept(run)

    def say(line: LogLineView) -> None:
        if output is Output.JSON:
            print(line.model_dump_json(), flush=True)
        else:
            stream = sys.stderr if line.stream == "stderr" else sys.stdout
            print(f"{slots[line.task]}.{line.task}@{line.node}  {line.text}", file=stream, flush=True)

    following.follow_tasks(client, list(slots), follow, tail, say)


@job_app.command()
def cancel(target: RunArgument, output: OutputOption = Output.TABLE) -> None:
    """End a run now: its tasks are stopped, within their grace period."""
    client = Client.from_environment()
    run = _run_id(client, target)
    reply = client.request_once("POST", path_to("runs", run, "cancel"), shown_by=f"swarmlet job show {run}").parse(
        WriteReply
    )
    show_json(reply) if output is Output.JSON else print(f"run {run}: cancelled, revision {reply.revision}")


def _run_id(client: Client, target: str) -> str:
    if "." not in target:
        return target
    job = client.get(path_to("jobs", target), JobView)
    if job.last is None:
        raise NoRunYet(target)
    return job.last.id


def _wait_over(client: Client, reply: RunReply, timeout_s: float | None, quiet: bool) -> RunDetailView:
    """Until it is over, as the peer that answers knows it; each change is printed."""
    started, shown = time.monotonic(), ""
    while True:
        run = client.get(path_to("runs", reply.run), RunDetailView, consistency="linearizable")
        waited_s, line = time.monotonic() - started, _line(run)
        if line != shown and not quiet:
            print(f"{waited_s:6.1f} s  {line}", flush=True)
        shown = line
        if run.ended_at is not None:
            return run
        if timeout_s is not None and waited_s > timeout_s:
            raise NotOver(run, timeout_s)
        time.sleep(POLL_S)


def _show_run(run: RunDetailView, output: Output) -> None:
    if output is Output.JSON:
        show_json(run)
        return
    print(
        f"run       {run.id}, number {run.number} of {run.job}, because of a {run.cause}, begun {_at(run.created_at)}"
    )
    print(f"state     {_line(run)}")
    show_table(
        run.tasks,
        [
            ("TASK", lambda task: task.id),
            ("COMPLETION", lambda task: task.slot),
            ("NODE", lambda task: task.node),
            ("PHASE", lambda task: task.phase),
            ("EXIT", lambda task: "" if task.exit_code is None else task.exit_code),
            ("BEGUN", lambda task: age(task.created_at)),
            ("MESSAGE", lambda task: task.message),
        ],
        output,
    )


def _line(run: RunView) -> str:
    parts = [f"{run.state}, {_done(run)} done"]
    counts = ((run.running, "running"), (run.failed, "failed"), (run.lost, "lost"))
    parts += [f"{count} {what}" for count, what in counts if count]
    return ", ".join(parts) + (f": {run.reason}" if run.reason else "")


def _rules(job: JobView) -> str:
    parts = ["once on every node" if job.completions is None else _counted(job.completions, "completion")]
    parts.append(f"{job.parallelism} at once" if job.parallelism else "all at once")
    parts.append("1 retry each" if job.retries == 1 else f"{job.retries} retries each")
    if job.deadline_s:
        parts.append(f"deadline after {job.deadline_s:g} s")
    return ", ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _done(run: RunView) -> str:
    return f"{run.succeeded}/{run.completions}"


def _lasted(run: RunView) -> str:
    if run.started_at is None:
        return "-"
    return f"{(run.ended_at or time.time()) - run.started_at:.1f} s"


def _at(moment: float | None) -> str:
    return "-" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
