"""The commands in the order in which people come to need them, in groups for `swarmlet --help`."""

import typer

PANELS = {
    "What runs": (
        "deploy", "plan", "compose", "remove", "scale", "rollout", "history", "rollback", "job", "export",
    ),
    "How it is": ("status", "services", "tasks", "logs", "explain", "top", "events", "stacks"),
    "Where it runs": ("nodes", "node", "rebalance", "voters"),
    "The cluster": ("kv", "keyring", "backup", "restore", "recover"),
    "This host": ("agent", "config", "keygen", "version"),
}  # fmt: skip


def arrange(app: typer.Typer) -> None:
    """To be called once all commands are there."""
    order = [(panel, name) for panel, names in PANELS.items() for name in names]
    panel_of = {name: panel for panel, name in order}
    places = {name: place for place, (_, name) in enumerate(order)}
    for registered in (app.registered_commands, app.registered_groups):
        registered.sort(key=lambda info: places[_name(info)])
        for info in registered:
            info.rich_help_panel = panel_of[_name(info)]


def _name(info: typer.models.CommandInfo | typer.models.TyperInfo) -> str:
    assert info.name or isinstance(info, typer.models.CommandInfo)
    return info.name or info.callback.__name__  # type: ignore[union-attr]
