"""The next best action for one customer: asked with a context and counted as a contact, or looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from engine.api.keys import Granted, granted
from engine.api.openapi import documented
from engine.api.problems import Problem
from engine.domain.errors import SettingsFault, UnknownName
from engine.domain.grants import Grant
from engine.workflows.decide_now import DecideNow, NotAnswered
from engine.workflows.live_answers import OFFERED, REFUSED
from engine.workflows.live_requests import LONGEST, MOST, LiveRequest
from engine.workflows.live_turns import Answer, RequestChanged, RowsUsedUp

PATH: Final = "/v1/customers/{customer_id}/next-best-action"
_RETRY: Final = {"Retry-After": "1"}
_LOOKED_AT: Final = 3  # offers that an answer to GET has room for: it stays below 4 kB
_NAME: Final = r"^[^\x00-\x1f\x7f]+$"
_KEY_OF: Final = r"^[\x20-\x7e]+$"

Name = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=_NAME)]
Channel = Literal[
    "email", "sms", "phone", "push", "post", "web", "app", "branch", "call_centre", "atm", "card", "transfer"
]  # fmt: skip
Code = Literal["OFFERED", "REFUSED", "STALE_RUN", "UNKNOWN_CUSTOMER", "NO_RUN", "RUN_NOT_USABLE"]

_OFFER: Final[dict[str, Any]] = {
    "product_id": "life_insurance",
    "offer_id": "life_insurance",
    "rank": 1,
    "channel": "sms",
    "channel_reason": "Of the channels that the request asks for.",
    "channel_reason_zh": "按请求指定的渠道。",
    "contact_hour": 20,
    "contact_day_part": "evening",
    "propensity": 0.0102,
    "expected_value_minor": 860,
    "expected_loss_minor": 0,
    "selection": "best",
    "selection_probability": 1.0,
    "track": "standard",
    "annual_rate": None,
    "limit_minor": None,
    "amount_minor": None,
    "terms_note": None,
    "terms_note_zh": None,
    "reasons": [{"text_en": "Already has: Current account.", "text_zh": "已持有活期账户。"}],
}
_ANSWER: Final[dict[str, Any]] = {
    "decision_id": "019f1b0618ac6e16439349022b7a5fe0",
    "customer_id": "C00000002",
    "run_id": "20260630T235959Z-5dd91da5bf",
    "as_of": "2026-06-30T23:59:59+00:00",
    "decided_at": "2026-07-01T00:13:32.204282+00:00",
    "code": "OFFERED",
    "action": _OFFER,
    "alternatives": [],
    "counted": True,
    "reasons": [],
}
_REFUSED: Final = _ANSWER | {
    "code": "REFUSED",
    "action": None,
    "counted": False,
    "reasons": [
        {
            "code": "CONTACT_CAP",
            "text_en": "The customer was contacted as often as the policy allows.",
            "text_zh": "触达次数已达上限。",
            "products": 24,
        }
    ],
}


class Sentence(BaseModel):
    """A sentence in English and Chinese."""

    text_en: str
    text_zh: str


class Reason(Sentence):
    """Why nothing is offered; `products` says how many products a gate refuses."""

    code: str
    products: int | None = None


class Action(BaseModel):
    """What to offer. Amounts are minor units; null is unknown, or does not apply."""

    product_id: str
    offer_id: str
    rank: int = Field(ge=1)
    channel: str
    channel_reason: str
    channel_reason_zh: str
    contact_hour: int | None = Field(ge=0, le=23)
    contact_day_part: str | None
    propensity: float | None = Field(ge=0, le=1)
    expected_value_minor: int | None
    expected_loss_minor: int | None
    selection: Literal["best", "explored", "control"]
    selection_probability: float | None = Field(ge=0, le=1, description="the chance that the draw had; null is unknown")
    track: str
    annual_rate: float | None
    limit_minor: int | None
    amount_minor: int | None
    terms_note: str | None
    terms_note_zh: str | None
    reasons: list[Sentence]


class NextBestAction(BaseModel):
    """One decision. `action` is null where nothing is to be offered, and `reasons` says why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER, _REFUSED]})

    decision_id: str = Field(description="send it back as `decision_id` with what became of the contact")
    customer_id: str | None = Field(description="null where the run knows no such customer")
    run_id: str | None
    as_of: datetime | None
    decided_at: datetime
    code: Code
    action: Action | None
    alternatives: list[Action]
    counted: bool = Field(description="whether the decision counts as a contact")
    reasons: list[Reason]


class Context(BaseModel):
    """Where the customer is. It narrows what may be offered, or lets some of it go first; it never lifts a refusal."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"channel": "web", "page": "/cards", "seen": ["index_fund"], "offers": 1}]},
    )

    channel: Channel | None = Field(
        default=None, description="one on which the bank contacts is the only one that the offer may go out on"
    )
    page: Name | None = Field(default=None, description="a page of [live.pages] lets its families of products go first")
    placement: Name | None = Field(default=None, description="a place of [live.placements]")
    basket: list[Name] = Field(default=[], max_length=MOST, description="products in the basket: not offered")
    seen: list[Name] = Field(default=[], max_length=MOST, description="products and offers already shown: not offered")
    offers: int | None = Field(default=None, ge=1, le=10, description="how many there is room for")
    counts: bool = Field(default=True, description="false where the customer is not going to be contacted")


class Look(BaseModel):
    """What can be said in an address: as in the body of a POST."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel | None = None
    page: Name | None = None
    placement: Name | None = None
    seen: list[Name] = Field(default=[], max_length=20)
    offers: int | None = Field(default=None, ge=1, le=_LOOKED_AT)
    reserve: bool = Field(default=False, description="count the answer as a contact; needs a request_id")
    request_id: Name | None = Field(default=None, description="the same id always gives the same answer")


@asynccontextmanager
async def _deciding(app: FastAPI) -> AsyncIterator[None]:
    decide = DecideNow(app.state.service.home)
    try:
        await run_in_threadpool(decide.ready)
        app.state.decide = decide
        yield
    finally:
        await run_in_threadpool(decide.close)


router = APIRouter(tags=["decisions"], lifespan=_deciding)

Customer = Annotated[str, Path(min_length=1, max_length=LONGEST, pattern=_NAME, examples=["C00000002"])]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=LONGEST, pattern=_KEY_OF)]
_CUSTOMER: Final = TypeAdapter(Name)
_KEY: Final = TypeAdapter(Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=_KEY_OF)] | None)
_JSON: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {
            "Idempotent-Replayed": {"description": "true on an earlier answer", "schema": {"type": "string"}},
            "Cache-Control": {"description": "for how long the answer may be kept", "schema": {"type": "string"}},
        }
    }
}


class _Direct(APIRoute):
    """A route whose values are read by the models of its signature, without the framework's general way to them.

    That way costs more than a decision does. The signature still describes the route.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        return handle


async def handle(request: Request) -> Response:
    """Answer a request for a decision; raises what the API answers with a problem."""
    grant = await granted(request)
    customer_id = _valid(_CUSTOMER.validate_python, request.path_params["customer_id"], "path", "customer_id")
    key = _valid(_KEY.validate_python, request.headers.get("idempotency-key"), "header", "idempotency-key")
    if not _is_json(request.headers.get("content-type", "")):
        raise Problem("unsupported_media_type", "Send the context as application/json.", field="Content-Type")
    context = _valid(Context.model_validate_json, await request.body(), "body")
    return await decide(request=request, customer_id=customer_id, context=context, grant=grant, idempotency_key=key)


def _valid(validate: Callable[[Any], Any], value: Any, *place: str) -> Any:
    try:
        return validate(value)
    except ValidationError as fault:
        told = fault.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": (*place, *one["loc"])} for one in told]) from None


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def decide(
    *,
    request: Request,
    customer_id: Customer,
    context: Context,
    grant: Granted,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Decide what to offer to one customer now, and count it as a contact.

    The decision is in the ledger before it is told. It is the run's own with what happened since, and offers nothing
    where a cap is used up, a consent was taken back, the run is too old, or risk gave no answer that still holds. The
    same `Idempotency-Key` gives the same answer and counts once; with another content it is refused.
    """
    grant.require("decisions:write")
    wanted = LiveRequest(
        customer_id=customer_id,
        channel=_channel(grant, context.channel),
        page=context.page,
        placement=context.placement,
        basket=tuple(context.basket),
        seen=tuple(context.seen),
        offers=context.offers,
        counts=context.counts,
        request_id=idempotency_key,
        asker=grant.actor,
        capped_key=_capped(grant),
    )
    return _told(await _answer(request, wanted))


router.add_api_route(
    PATH,
    decide,
    methods=["POST"],
    response_model=NextBestAction,
    responses=_JSON,
    route_class_override=_Direct,
    **documented("row_cap_reached", "unsupported_media_type", scope="decisions:write"),
)
ROUTE: Final = router.routes[-1]
"""The route of `handle`."""


@router.get(
    PATH,
    response_model=NextBestAction,
    responses=_JSON,
    **documented("row_cap_reached", scope="decisions:read"),
)
async def look(*, request: Request, customer_id: Customer, asked: Annotated[Look, Query()], grant: Granted) -> Response:
    """Look at what would be offered to one customer now; it counts as no contact, so that it is safe to ask twice.

    For templates and feeds that only fetch: below 4 kB, to be kept for as long as Cache-Control says, always 200 with a
    null action in place of 404. Between two looks somebody else may use up a cap: report what was shown as feedback of
    the type `sent` with the `decision_id`, or ask with `reserve=true` and a `request_id`, which counts once however
    often it is fetched and needs the scope `decisions:write`.
    """
    grant.require("decisions:read")
    if asked.reserve:
        grant.require("decisions:write")
        if asked.request_id is None:
            raise Problem(
                "invalid_request",
                "reserve counts a contact each time: name a request_id, so that the same request counts once.",
                field="query.request_id",
            )
    wanted = LiveRequest(
        customer_id=customer_id,
        channel=_channel(grant, asked.channel),
        page=asked.page,
        placement=asked.placement,
        seen=tuple(asked.seen),
        offers=asked.offers,
        counts=asked.reserve,
        request_id=asked.request_id,
        asker=grant.actor,
        capped_key=_capped(grant),
    )
    answer = await _answer(request, wanted, most=_LOOKED_AT)
    # what is missing may be there the next moment
    keeps = answer.code in (OFFERED, REFUSED)
    return _told(answer, f"private, max-age={request.app.state.decide.settings.cache_seconds}" if keeps else "no-store")


def _channel(grant: Grant, channel: str | None) -> str | None:
    """Return the channel that a request is for: where the key is for one alone, that one."""
    if channel is not None:
        grant.require_channel(channel)
    return channel or grant.channel


def _capped(grant: Grant) -> str | None:
    return None if grant.row_cap is None else grant.key_id


async def _answer(request: Request, wanted: LiveRequest, most: int | None = None) -> Answer:
    deciding: DecideNow = request.app.state.decide
    try:
        return await deciding.asked(wanted, most)
    except NotAnswered as fault:
        raise Problem("unavailable", fault.sentence, headers=_RETRY) from None
    except RequestChanged as fault:
        raise Problem("invalid_request", fault.sentence, field="Idempotency-Key") from None
    except RowsUsedUp as fault:
        raise Problem("row_cap_reached", fault.sentence) from None
    except UnknownName as fault:
        raise Problem("invalid_request", fault.sentence, field=fault.what) from None
    except SettingsFault as fault:
        told = [{"field": one.partition(":")[0], "detail": one} for one in fault.faults]
        raise Problem("invalid_request", fault.sentence, field=told[0]["field"], errors=told) from None


def _told(answer: Answer, cache: str = "no-store") -> Response:
    headers = {"Cache-Control": cache}
    if answer.repeated:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, media_type="application/json", headers=headers)
