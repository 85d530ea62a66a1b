"""The description of Fakher's API, as OpenAPI 3.1, out of the models that check it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from openapi_pydantic import (
    Components,
    Example,
    Header,
    Info,
    MediaType,
    OpenAPI,
    Operation,
    PathItem,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Server,
    Tag,
)
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class

from dialogs.vocabulary import FakherEvent
from webhooks.api.models import EventMessage, Model, Problem
from webhooks.api.operations import OPERATIONS, PROBLEM, Described

PROBLEMS = {
    401: "The token is missing, unknown, expired or revoked.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json.",
    422: "The body is malformed; `errors` says where.",
    429: "Too many calls in this minute, by this token or about this account.",
    503: "The database is out of reach, or a key that the code was made under: nothing was done. Try again.",
}
WAITING = {429, 503}


def document(public_url: str) -> str:
    """The whole description, as JSON."""
    described = OpenAPI(
        info=Info(
            title="Ramz for Fakher",
            version="1",
            description="Codes and passwords of group leaders. Every call but this document's needs a bearer token, "
            "which `flask tokens create` makes.",
        ),
        servers=[Server(url=public_url.rstrip("/"))],
        tags=[Tag(name="codes"), Tag(name="passwords")],
        security=[{"token": []}],
        paths={it.path: PathItem(post=_operation(it)) for it in OPERATIONS} | {"/api/v1/openapi.json": _self()},
        webhooks={event.value: PathItem(post=_event(event)) for event in FakherEvent},
        components=Components(securitySchemes={"token": SecurityScheme(type="http", scheme="bearer")}),
    )
    whole = construct_open_api_with_schema_class(described)
    return whole.model_dump_json(by_alias=True, exclude_none=True)


def _operation(it: Described) -> Operation:
    problems = PROBLEMS | dict(it.problems or {})
    return Operation(
        operationId=it.name,
        tags=[it.path.split("/")[3]],
        summary=it.summary,
        description=it.description,
        requestBody=RequestBody(required=True, content={"application/json": _media(it.body, it.asked)}),
        responses={
            str(it.done.value): _done(it),
            **{str(status): _problem(status, problems[status]) for status in sorted(problems)},
        },
    )


def _done(it: Described) -> Response:
    content = {"application/json": _media(it.answer, it.answers or {})} if it.answer else None
    return Response(description=it.done.phrase, content=content)


def _problem(status: int, description: str) -> Response:
    waiting = Header(description="Seconds to wait.", schema=Schema.model_validate({"type": "integer"}), required=True)
    example = Problem(title=HTTPStatus(status).phrase, status=status).model_dump(exclude_none=True)
    return Response(
        description=description,
        content={PROBLEM: _media(Problem, {"as it is": example})},
        headers={"Retry-After": waiting} if status in WAITING else None,
    )


def _self() -> PathItem:
    described = Response(
        description="This document.",
        content={"application/json": MediaType(schema=Schema.model_validate({"type": "object"}))},
    )
    return PathItem(
        get=Operation(operationId="describe", summary="This document", security=[], responses={"200": described})
    )


def _event(event: FakherEvent) -> Operation:
    example = {
        "type": event.value,
        "timestamp": "2026-09-01T09:00:00.000Z",
        "data": {"national_id": "0012345679", "username": "leader5679"},
    }
    return Operation(
        operationId=event.name.lower(),
        summary=event.value,
        description="Posted to FAKHER_EVENTS_URL, signed as the Standard Webhooks specification says, until it is "
        "answered with 2xx, for a day. The same `webhook-id` may come twice.",
        security=[],
        requestBody=RequestBody(content={"application/json": _media(EventMessage, {"as it is": example})}),
        responses={"2XX": Response(description="Taken.")},
    )


def _media(model: type[Model] | Any, examples: Mapping[str, Any]) -> MediaType:
    return MediaType(
        schema=PydanticSchema(schema_class=model),  # type: ignore[call-arg]
        examples={name: Example(value=value) for name, value in examples.items()},
    )
