"""Every way in which a request can fail, as RFC 9457 problem details: one code, one status, one remedy each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, what it is, and what to do about it."""

    status: int
    title: str
    remedy: str


KINDS: Final[dict[str, Kind]] = {
    "malformed_request": Kind(400, "The request cannot be read", "Send what the description of the API says."),
    "invalid_cursor": Kind(400, "The cursor is not one of this listing", "Follow `next` as it came, with one key."),
    "key_refused": Kind(401, "No valid key", "Send a key that is in use as `Authorization: Bearer KEY`."),
    "not_granted": Kind(403, "The key does not allow this", "Ask for a key that has what `field` names."),
    "row_cap_reached": Kind(403, "The key's rows of the day are used up", "Wait for the next day in UTC."),
    "refused_by_policy": Kind(403, "A policy forbids this", "The detail says which; it is not an error to retry."),
    "no_such_path": Kind(404, "There is nothing at this path", "Look the path up in /v1/openapi.json."),
    "not_found": Kind(404, "There is nothing of that name", "The detail lists what this key may see."),
    "method_not_allowed": Kind(405, "The path does not know this method", "Use one that the header Allow lists."),
    "not_acceptable": Kind(406, "No form of the answer is accepted", "Accept application/json."),
    "not_available": Kind(409, "The run cannot answer this", "The detail says what is missing and how to get it."),
    "conflict": Kind(409, "What was said before is different", "What was said first stands; look at it again."),
    "resync_required": Kind(409, "Changes cannot be told from there", "Pull all members of the latest run."),
    "delivery_under_way": Kind(409, "The same delivery is being worked on", "Send it again after Retry-After."),
    "run_expired": Kind(410, "The run can no longer be pulled", "Begin again without `cursor` and `run`."),
    "run_revoked": Kind(410, "The run was taken back", "Take out whoever was loaded from it; pull a later run."),
    "body_too_large": Kind(413, "The body is too long", "Send less at once; the detail says how much is allowed."),
    "unsupported_media_type": Kind(415, "The body is of another type", "Send the type that the description names."),
    "invalid_request": Kind(422, "A value is not what was expected", "Mend what `errors` lists."),
    "idempotency_key_reused": Kind(422, "The key belongs to another body", "Give every delivery a key of its own."),
    "too_many_requests": Kind(429, "Too many requests", "Wait for as many seconds as Retry-After says."),
    "unforeseen": Kind(500, "Something unforeseen went wrong", "Report the number in `instance`; try again later."),
    "unavailable": Kind(503, "The service cannot answer now", "Try again after as many seconds as Retry-After says."),
}
"""Every code that an answer can carry."""


class Problem(Exception):
    """Ends a request with a problem; `field` names what is wrong, `errors` further places."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = KINDS[code]
        self.code, self.detail, self.field, self.errors = code, detail, field, tuple(errors)
        self.headers = dict(headers or {})
        super().__init__(code)

    def body(self, instance: str) -> dict[str, Any]:
        """Return what the answer says."""
        told: dict[str, Any] = {
            "type": address(self.code),
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "field": self.field,
            "doc": address(self.code),
        }
        return told | ({"errors": list(self.errors)} if self.errors else {})

    def response(self, instance: str) -> Response:
        """Return the answer."""
        return Response(
            orjson.dumps(self.body(instance)), self.kind.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def address(code: str) -> str:
    """Return where a problem is explained."""
    return f"/v1/problems/{code}"


SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it; `doc` leads to what can be done about it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "field", "doc"],
    "properties": {
        "type": {"type": "string", "description": "where this kind of problem is explained"},
        "title": {"type": "string", "description": "the kind of problem in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what is wrong here, what was expected, what to do next"},
        "instance": {"type": "string", "description": "number of the request; the server's log has it too"},
        "code": {"type": "string", "enum": sorted(KINDS)},
        "field": {"type": ["string", "null"], "description": "the parameter, header or member that is wrong"},
        "doc": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "every value that is wrong",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
