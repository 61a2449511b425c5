"""Groups of commands: listed in the order in which a newcomer needs them, and helpful when nothing more is typed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperGroup

_ORDER: Final = (
    # what the group is for, then what changes nothing, then the rest
    *("simulate", "run", "audience", "decide", "explain"),
    *("list", "check", "load", "report", "dictionary", "show", "recommendations", "verify", "approve", "ack"),
    *("create", "rotate", "revoke", "add", "remove", "test", "deliver", "retry"),
    *("status", "suppress", "lift"),
    *("models", "rules", "limits", "evaluate", "uplift"),
    *("funnel", "stages", "dropoff", "transitions", "variants", "flow", "step-matrix", "retention", "lifecycle"),
    *("fit", "score", "migrate", "rfm"),
    *("stickiness", "churn", "sessions", "channels", "attribution", "conformance", "types", "compare", "prepare"),
    *("monitor", "watch", "due", "review"),
)


class InOrder(TyperGroup):
    """A group that lists its commands in our order, the rest behind them."""

    order: ClassVar[tuple[str, ...]] = _ORDER

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands as the help lists them."""
        return sorted(self.commands, key=lambda name: self.order.index(name) if name in self.order else len(self.order))


def listing(names: Iterable[str]) -> type[InOrder]:
    """Return a group that lists its commands in the order of these names."""

    class Listing(InOrder):
        order = tuple(names)

    return Listing


def with_default(command: str) -> type[InOrder]:
    """Return a group in which a first word that is no command is the first argument of one of its commands."""

    class WithDefault(InOrder):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Return the command that is called, the default one for a word that is none."""
            _check_typo(ctx, args, self.commands)
            named = bool(args) and (args[0].startswith("-") or args[0] in self.commands)
            return super().resolve_command(ctx, args if named else [command, *args])

    return WithDefault


def _check_typo(ctx: Any, args: list[str], commands: Iterable[str]) -> None:
    """Refuse a lone word that is nearly a command: as an argument it would only be told that options are missing."""
    near = get_close_matches(args[0], commands, n=1, cutoff=0.75) if len(args) == 1 else []
    if near and args[0] not in commands:
        ctx.fail(f'No such command "{args[0]}". Did you mean "{near[0]}"?')


def group(name: str, summary: str, kind: type[InOrder] = InOrder) -> typer.Typer:
    """Return a group of commands that shows its help when none of them is named."""
    made = typer.Typer(
        name=name,
        help=summary,
        cls=kind,
        invoke_without_command=True,
        no_args_is_help=False,
        rich_markup_mode="rich",
    )

    @made.callback()
    def begin(context: typer.Context) -> None:
        show_help(context)

    return made


def show_help(context: typer.Context) -> None:
    """Print the help of a group when none of its commands was named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
