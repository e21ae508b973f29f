"""The commands. Each reads from any peer, prints a table or JSON, and exits with 0 only when what was asked is so."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

import swarmlet
from swarmlet import interpreter
from swarmlet.api.schema import (
    DeployReply,
    EventView,
    Listing,
    LogLineView,
    ScaleRequest,
    ServiceView,
    StackView,
    StatusView,
    TaskView,
    WriteReply,
)
from swarmlet.cli import deploying, following, keyring, recovery, rollouts
from swarmlet.cli.checking import compose_app
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.compose_files import FilesOption, ProfilesOption, read_compose_files
from swarmlet.cli.explain import explain
from swarmlet.cli.exporting import export_app
from swarmlet.cli.jobs import job_app
from swarmlet.cli.kv import kv_app
from swarmlet.cli.nodes import node_app, nodes
from swarmlet.cli.output import Output, OutputOption, age, cpus, megabytes, show_json, show_table
from swarmlet.cli.panels import arrange
from swarmlet.cli.planning import plan
from swarmlet.cli.rebalance import rebalance
from swarmlet.cli.top import top
from swarmlet.cli.voters import voters
from swarmlet.errors import SwarmletError
from swarmlet.model.compose import Unbuilt

USAGE_STATUS = 2
FAILURE_STATUS = 1

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help=swarmlet.__doc__)
config_app = typer.Typer(no_args_is_help=True, help="Check a configuration file, or print one with every key.")
app.add_typer(config_app, name="config")
recovery.add_commands(app)
rollouts.add_commands(app)
app.add_typer(job_app, name="job")
app.add_typer(kv_app, name="kv")
app.command("nodes")(nodes)
app.add_typer(node_app, name="node")
app.command("explain")(explain)
app.command("rebalance")(rebalance)
app.command("top")(top)
app.command("voters")(voters)
app.command("plan")(plan)
app.add_typer(export_app, name="export")
app.add_typer(keyring.app, name="keyring")
app.add_typer(compose_app, name="compose")

StackArgument = Annotated[str, typer.Argument(metavar="STACK", help="The stack's name.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait for the outcome.")]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Return once it is committed; don't wait.")]


def main() -> None:
    """The command's entry: every expected error is one line on standard error."""
    try:
        app()
    except SwarmletError as error:
        print(f"swarmlet: {error}", file=sys.stderr)
        from swarmlet.config import ConfigError

        sys.exit(USAGE_STATUS if isinstance(error, ConfigError) else FAILURE_STATUS)
    except BrokenPipeError:
        # Whoever read our output has seen enough (as `head` does).
        sys.stderr.close()
        sys.exit(FAILURE_STATUS)


@app.command()
def agent(
    config: Annotated[Path, typer.Option("--config", "-c", help="The agent's configuration file (TOML).")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key, such as api.listen=….")
    ] = None,
) -> None:
    """Run this host's agent until it is told to stop. Containers go on running without it."""
    interpreter.do_without_unneeded()
    from swarmlet.agent import run_agent
    from swarmlet.config import Config

    raise SystemExit(run_agent(Config.load(config, settings or [])))


@config_app.command("check")
def config_check(
    file: Annotated[Path, typer.Argument(help="The configuration file.")],
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key.")] = None,
) -> None:
    """Say whether an agent on this host could start with this file. Writes nothing."""
    from swarmlet.config import Config, check_addresses, check_data_dir

    loaded = Config.load(file, settings or [])
    check_addresses(loaded)
    check_data_dir(loaded)
    print(f"{file}: good: node '{loaded.name}' of cluster '{loaded.cluster}'")


@config_app.command("example")
def config_example() -> None:
    """Print a commented configuration with every key."""
    from swarmlet.config import example

    print(example(), end="")


@app.command()
def keygen() -> None:
    """Print a new cluster key. Put it into a file of mode 0600 on every host and name that as `key_file`."""
    from swarmlet.security.keys import generate_key

    print(generate_key())


@app.command()
def version() -> None:
    """Print the version."""
    print(swarmlet.__version__)


@app.command()
def status(output: OutputOption = Output.TABLE) -> None:
    """How the cluster is, as the peer that answers sees it."""
    view = Client.from_environment().get("/v1/status", StatusView)
    if output is Output.JSON:
        show_json(view)
        return
    print(f"cluster   {view.cluster}, revision {view.revision}, term {view.term}")
    print(f"peer      {view.node} ({view.role}), version {view.version}")
    print(f"leader    {view.leader or 'none: nothing can be changed until a majority of voters is back'}")
    print(f"voters    {', '.join(view.voters) or 'none'}")
    print(f"nodes     {view.nodes_alive} of {view.nodes_total} alive")
    print(f"services  {view.services}, tasks {view.tasks_ready} of {view.tasks_wanted} ready")
    for problem in view.problems:
        print(f"problem   {problem}")


@app.command()
def stacks(output: OutputOption = Output.TABLE) -> None:
    """The deployed stacks."""
    listing = Client.from_environment().get("/v1/stacks", Listing[StackView])
    show_table(
        listing.items,
        [
            ("NAME", lambda stack: stack.name),
            ("STATE", lambda stack: stack.state),
            ("SERVICES", lambda stack: len(stack.services)),
            ("DEPLOYED", lambda stack: age(stack.deployed_at)),
        ],
        output,
    )


@app.command()
def services(
    stack: Annotated[str | None, typer.Argument(help="Only this stack's.")] = None, output: OutputOption = Output.TABLE
) -> None:
    """The declared services, and how far each is."""
    listing = Client.from_environment().get("/v1/services", Listing[ServiceView], stack=stack)
    show_table(
        listing.items,
        [
            ("SERVICE", lambda service: service.id),
            ("STATE", lambda service: service.state),
            ("READY", lambda service: f"{service.ready}/{service.wanted}"),
            ("MODE", lambda service: service.mode),
            ("IMAGE", lambda service: service.image),
            ("PORTS", lambda service: " ".join(f"{port.published}->{port.target}" for port in service.ports)),
            ("PROBLEM", _problem_text),
        ],
        output,
    )


def _problem_text(service: ServiceView) -> str:
    return "; ".join([service.problem, *(f"{node}: {why}" for node, why in sorted(service.per_node.items()))])


@app.command()
def tasks(
    service: Annotated[str | None, typer.Argument(help="Only this service's (STACK.SERVICE) or this stack's.")] = None,
    node: Annotated[str | None, typer.Option(help="Only those on this node.")] = None,
    all_tasks: Annotated[bool, typer.Option("--all", "-a", help="Also those that were told to stop.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """The tasks, where they run and how they are."""
    is_service = service is not None and "." in service
    listing = Client.from_environment().get(
        "/v1/tasks",
        Listing[TaskView],
        service=service if is_service else None,
        stack=None if is_service else service,
        node=node,
        all=1 if all_tasks else None,
    )
    show_table(
        listing.items,
        [
            ("TASK", lambda task: task.id),
            ("SERVICE", lambda task: f"{task.service}.{task.slot}"),
            ("NODE", lambda task: task.node),
            ("PHASE", lambda task: task.phase),
            ("HEALTH", lambda task: task.health),
            ("RESTARTS", lambda task: task.restarts),
            ("CPU", lambda task: cpus(task.cpus_used)),
            ("MEMORY", lambda task: megabytes(task.memory_used_bytes)),
            ("EXIT", lambda task: "" if task.exit_code is None else task.exit_code),
            ("CHANGED", lambda task: age(task.changed_at)),
            ("MESSAGE", lambda task: task.message),
        ],
        output,
    )


@app.command()
def deploy(
    stack: StackArgument,
    compose: Annotated[Path | None, typer.Argument(metavar="[COMPOSE_FILE]", help="The Compose file.")] = None,
    files: FilesOption = None,
    profile: ProfilesOption = None,
    unbuilt: Annotated[
        Unbuilt, typer.Option("--unbuilt", help="Services with `build` and no `image`: are their images there?")
    ] = Unbuilt.REFUSE,
    detach: DetachOption = False,
    timeout: TimeoutOption = 120.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a stack as its Compose files say, and wait until it is. A redeploy changes only what differs."""
    if (compose is None) == (not files):
        raise typer.BadParameter("give one Compose file after the stack's name, or one or several with -f")
    client = Client.from_environment()
    paths = [compose] if compose is not None else files or []
    request = read_compose_files(paths).request(profile or [], unbuilt)
    started = time.monotonic()
    reply = client.request("PUT", path_to("stacks", stack), request).parse(DeployReply)
    for warning in reply.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if detach:
        show_json(reply) if output is Output.JSON else print(f"{stack}: committed as revision {reply.revision}")
        return
    shown = ""

    def say(view: StackView) -> None:
        nonlocal shown
        line = deploying.progress_line(view)
        if line != shown and output is Output.TABLE:
            print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)
        shown = line

    view = deploying.wait_converged(client, stack, reply, timeout, say)
    if output is Output.JSON:
        show_json(view)
        return
    changed = ", ".join(reply.changed) or "nothing"
    print(f"{stack}: healthy after {time.monotonic() - started:.1f} s, changed: {changed}")


@app.command()
def scale(
    service: Annotated[str, typer.Argument(metavar="STACK.SERVICE")],
    replicas: Annotated[int, typer.Argument(min=0)],
    output: OutputOption = Output.TABLE,
) -> None:
    """Set how many tasks a replicated service has."""
    answer = Client.from_environment().request("PATCH", path_to("services", service), ScaleRequest(replicas=replicas))
    reply = answer.parse(WriteReply)
    show_json(reply) if output is Output.JSON else print(f"{service}: {replicas} replicas, revision {reply.revision}")


@app.command()
def remove(
    stack: StackArgument,
    detach: DetachOption = False,
    timeout: TimeoutOption = 60.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove a stack and wait until none of its tasks is left. Named volumes stay."""
    client = Client.from_environment()
    reply = client.request_once("DELETE", path_to("stacks", stack), shown_by="swarmlet stacks").parse(WriteReply)
    if not detach:
        following.wait_gone(client, stack, timeout)
    show_json(reply) if output is Output.JSON else print(f"{stack}: removed, revision {reply.revision}")


@app.command()
def logs(
    target: Annotated[
        str, typer.Argument(metavar="TASK|STACK.SERVICE", help="A task's id, or a service: all its tasks.")
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="Only the last lines so far.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print logs of a task, also of one that ended a while ago, or of all tasks of a service."""

    def say(line: LogLineView) -> None:
        if output is Output.JSON:
            print(line.model_dump_json(), flush=True)
        else:
            stream = sys.stderr if line.stream == "stderr" else sys.stdout
            prefix = f"{line.task}@{line.node}  " if "." in target else ""
            print(f"{prefix}{line.text}", file=stream, flush=True)

    following.follow_logs(Client.from_environment(), target, follow, tail, say)


@app.command()
def events(
    since: Annotated[int | None, typer.Option("--from", help="Start after this revision instead of now.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Follow what happens in the cluster: what is agreed, and what is observed."""

    def say(event: EventView) -> None:
        if output is Output.JSON:
            print(event.model_dump_json(), flush=True)
        else:
            at = time.strftime("%H:%M:%S", time.localtime(event.at))
            print(f"{at}  {event.revision:>6}  {event.kind:<6}  {event.key}  {event.message}", flush=True)

    following.follow_events(Client.from_environment(), since, say)


arrange(app)
