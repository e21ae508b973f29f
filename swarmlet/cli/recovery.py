"""`swarmlet backup`, `restore` and `recover`: the first asks any peer; the others work on a data directory whose agent
does not run, through `swarmlet.recovery`."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Protocol

import typer

from swarmlet.cli.client import Client
from swarmlet.cli.output import Output, OutputOption
from swarmlet.errors import SwarmletError

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The node's configuration file (TOML).")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the file.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without, only what was found is said.")]


class NotConfirmed(SwarmletError):
    def __init__(self) -> None:
        super().__init__("nothing was changed: read what is above, then repeat the command with --yes")


class NotSaved(SwarmletError):
    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file} was not written: {problem}")
        self.file = file


class ChooseOne(SwarmletError):
    def __init__(self) -> None:
        super().__init__("give either --survivor (the quorum is lost) or --discard (this node's log is damaged)")


class Findings(Protocol):
    def lines(self) -> list[str]: ...


def add_commands(app: typer.Typer) -> None:
    for command in (backup, restore, recover):
        app.command()(command)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; replaced as a whole.")],
    local: Annotated[
        bool, typer.Option("--local", help="What the peer has, also without a leader; it may be behind.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Save all that the cluster has agreed on, from any peer. The file holds it unencrypted."""
    from swarmlet.recovery.backup_file import save

    parts = Client.from_environment().parts("/v1/backup", consistency="local" if local else "linearizable")
    try:
        head = save(file, parts)
    except OSError as error:
        raise NotSaved(file, error.strerror or str(error)) from error
    if output is Output.JSON:
        print(json.dumps({"file": str(file), **asdict(head)}))
    else:
        size_bytes = file.stat().st_size
        print(f"{file}: cluster {head.cluster}, revision {head.revision}, from {head.node}, {size_bytes} bytes")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    config: ConfigOption,
    settings: SettingsOption = None,
    other_cluster: Annotated[
        bool, typer.Option("--other-cluster", help="Also if the backup is of a cluster with another name.")
    ] = False,
) -> None:
    """Make this node, which has no state yet, the first of a new cluster that holds a backup. Then start its agent."""
    from swarmlet.config import Config
    from swarmlet.recovery.restore import restore

    loaded = Config.load(config, settings or [])
    head = restore(loaded, file, other_cluster)
    print(
        f"{loaded.data_dir}: node '{loaded.name}' holds cluster '{head.cluster}' as of revision {head.revision}; start "
        "its agent, then the others' with empty data directories and `join`"
    )


def recover(
    config: ConfigOption,
    survivor: Annotated[
        bool, typer.Option("--survivor", help="The quorum is lost for good: go on with what this node has.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="This node's log is damaged: set it aside and get it anew from the peers.")
    ] = False,
    yes: YesOption = False,
    settings: SettingsOption = None,
) -> None:
    """Bring a cluster back from one survivor, or a node whose log is damaged into its cluster. Stop its agent first."""
    from swarmlet.config import Config
    from swarmlet.recovery.recover import recover_discard, recover_survivor

    if survivor == discard:
        raise ChooseOne
    loaded = Config.load(config, settings or [])
    if discard:
        kept = recover_discard(loaded, _told(yes))
        if kept is None:
            raise NotConfirmed
        print(f"{kept}: the old log; start the agent, it gets the log anew from its peers")
        return
    recover_survivor(loaded, _told(yes))
    if not yes:
        raise NotConfirmed
    print("this node is the only voter now: start its agent; the other survivors join it by themselves")


def _told(yes: bool) -> Callable[[Findings], bool]:
    def confirmed(findings: Findings) -> bool:
        for line in findings.lines():
            print(line, file=sys.stderr)
        return yes

    return confirmed
