"""`wayline decide`: what to offer to one customer now."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_OFFERS: Final = (
    "product_id",
    "rank",
    "channel",
    "propensity",
    "expected_value_minor",
    "selection",
    "selection_probability",
    "track",
    "why",
)
_HEADS: Final = ("decision_id", "customer_id", "run_id", "as_of", "decided_at", "code", "counted")


def decide(
    *,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    channel: Annotated[
        str | None,
        typer.Option("--channel", help="Where the customer is: email, sms, phone, push, post, web, app, branch, ..."),
    ] = None,
    page: Annotated[str | None, typer.Option("--page", help="The page, as under live.pages of the settings.")] = None,
    placement: Annotated[
        str | None, typer.Option("--placement", help="The place of the offer, as under live.placements.")
    ] = None,
    basket: Annotated[
        list[str] | None, typer.Option("--basket", help="A product in the basket; repeat it for more.")
    ] = None,
    seen: Annotated[
        list[str] | None, typer.Option("--seen", help="A product or an offer already shown; repeat it for more.")
    ] = None,
    offers: Annotated[int | None, typer.Option("--offers", min=1, max=10, help="How many there is room for.")] = None,
    look: Annotated[bool, typer.Option("--look", help="Only look: the answer counts as no contact.")] = False,
    request_id: Annotated[
        str | None, typer.Option("--request", help="The same id gives the same answer, and counts once.")
    ] = None,
    language: Annotated[
        options.Language, typer.Option("--lang", help="English or Chinese, for the sentences shown.")
    ] = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide what to offer to one customer now, within live caps, and count it as a contact.

    It is the current run's own decision with what happened since: contacts, suppressions, answers of risk that ran out.
    It stands in the ledger before it is shown; `wayline explain CUSTOMER --decision ID` tells why, and --replay makes
    it again. A run that looks from too long ago offers nothing: see the live settings.

    [bold]Examples[/]

      wayline decide C00000042

      wayline decide C00000042 --channel web --page /cards --offers 3 --look

      wayline decide C00000042 --channel sms --request visit-7 --json
    """
    from engine.workflows.decide_now import DecideNow
    from engine.workflows.live_requests import LiveRequest

    output = Output(as_json, quiet)
    request = LiveRequest(
        customer_id=customer_id,
        channel=channel,
        page=page,
        placement=placement,
        basket=tuple(basket or ()),
        seen=tuple(seen or ()),
        offers=offers,
        counts=not look,
        request_id=request_id,
        asker="cli",
    )
    with DecideNow(home) as deciding:
        deciding.ready()
        found = deciding.answer(request)
    output.result(found.facts | {"repeated": found.repeated}, lambda facts: _show(output, facts, language.value))


def _show(output: Output, facts: dict[str, Any], language: str) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, facts[name]) for name in _HEADS})
    output.line("")
    shown = [facts["action"], *facts["alternatives"]] if facts["action"] else []
    rows = [{**one, "why": " ".join(reason[f"text_{language}"] for reason in one["reasons"])} for one in shown]
    if rows:
        output.table(rows, _OFFERS, title="Offers")
    for reason in facts["reasons"]:
        counted = f" ({reason['products']})" if "products" in reason else ""
        output.line(f"{reason['code']}{counted}: {reason[f'text_{language}']}")


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("decide")(decide)
