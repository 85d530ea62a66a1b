"""Fakher's API: JSON in, JSON or a problem (RFC 9457) out. Nothing secret is in an address."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from bot.build import Bot
from bot.credentials.one_time_codes import UnknownKey
from bot.fakher.service import Caller, Fakher, NotAuthorised, TicketGone, TooManyCalls, WeakPassword
from bot.platform.log import logger
from webhooks import database_errors
from webhooks.api.models import (
    ByNationalId,
    CodeTry,
    CodeVerdict,
    Fault,
    NewPassword,
    PasswordTry,
    PasswordVerdict,
    Problem,
    RightCode,
    WrongCode,
    faults,
)
from webhooks.api.operations import OPERATIONS, PROBLEM
from webhooks.database_errors import DATABASE_ERRORS, RETRY_AFTER_SECONDS

LOG = logger("api")

AREA = "/api/"
JSON = "application/json"

Body = TypeVar("Body", bound=BaseModel)


class Refused(Exception):
    """The request has no answer but a problem."""

    def __init__(self, problem: Problem, **headers: str) -> None:
        """Keep the problem, and the headers that go with it."""
        super().__init__(problem.title)
        self.problem, self.headers = problem, headers


def routes(bot: Bot) -> Blueprint:
    """/api/v1."""
    blueprint = Blueprint("api", __name__)
    description = cache(_description)

    @blueprint.get("/api/v1/openapi.json", provide_automatic_options=False)
    def describe() -> Response:
        return Response(description(bot.settings.public_url), content_type=JSON)

    for operation in OPERATIONS:
        view = _view(bot.fakher, operation.body, WORK[operation.name], operation.done)
        blueprint.add_url_rule(operation.path, operation.name, view, methods=["POST"], provide_automatic_options=False)
    return blueprint


def _description(public_url: str) -> str:
    # Imported when somebody asks: its library takes as long to come in as all of the API.
    from webhooks.api import openapi  # noqa: PLC0415

    return openapi.document(public_url)


def problem_of(error: HTTPException) -> Response:
    """An error that Flask found by itself, as a problem."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    answer = _refusal(Refused(_problem(status)))
    allowed = [(name, value) for name, value in error.get_headers() if name == "Allow"]
    answer.headers.extend(allowed)
    return answer


def broken() -> Response:
    """An error of our own, as a problem."""
    return _refusal(Refused(_problem(HTTPStatus.INTERNAL_SERVER_ERROR)))


def _view(
    fakher: Fakher, model: Any, work: Callable[..., BaseModel | None], done: HTTPStatus
) -> Callable[[], Response]:
    def view() -> Response:
        try:
            caller = _authorised(fakher)
            return _answer(work(fakher, caller, _body(model)), done)
        except Refused as refused:
            return _refusal(refused)
        except TooManyCalls as limit:
            seconds = max(1, -int(-limit.wait.total_seconds() // 1))
            return _refusal(Refused(_problem(HTTPStatus.TOO_MANY_REQUESTS), **{"Retry-After": str(seconds)}))
        except UnknownKey:
            # Another host has made this code, under a key that this one hasn't been given: no try was spent.
            LOG.error("code_under_unknown_key")
            return _later()
        except DATABASE_ERRORS as error:
            database_errors.log(error)
            return _later()

    return view


def _later() -> Response:
    problem = _problem(HTTPStatus.SERVICE_UNAVAILABLE)
    return _refusal(Refused(problem, **{"Retry-After": str(RETRY_AFTER_SECONDS)}))


def _authorised(fakher: Fakher) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise NotAuthorised
        return fakher.authorise(token.strip())
    except NotAuthorised:
        challenge = 'Bearer realm="ramz"' + (', error="invalid_token"' if token else "")
        raise Refused(_problem(HTTPStatus.UNAUTHORIZED), **{"WWW-Authenticate": challenge}) from None


def _body(model: type[Body]) -> Body:
    if request.mimetype != JSON:
        raise Refused(_problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON}."))
    try:
        return model.model_validate_json(_whole_body())
    except ValidationError as error:
        raise _malformed(faults(model, error)) from None


def _whole_body() -> bytes:
    try:
        body = request.get_data()
        # One that comes in chunks says nothing of its size, and would be cut off at the limit.
        is_cut = request.content_length is None and request.environ["wsgi.input"].read(1)
    except (ClientDisconnected, OSError):  # the connection broke off, or a chunk has no size
        raise _malformed([Fault(pointer="", detail="The body is not whole.")]) from None
    if is_cut:
        raise RequestEntityTooLarge
    return body


def _malformed(found: list[Fault]) -> Refused:
    return Refused(_problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The body is not what it should be.", errors=found))


def _verify_code(fakher: Fakher, caller: Caller, body: CodeTry) -> BaseModel:
    verdict = fakher.verify_code(caller, body.national_id, body.code)
    if verdict.ticket is None or verdict.expires_at is None:
        return CodeVerdict(WrongCode.model_validate({"reason": verdict.reason, "tries_left": verdict.tries_left}))
    return CodeVerdict(RightCode(ticket=verdict.ticket.text, expires_at=verdict.expires_at))


def _set_password(fakher: Fakher, caller: Caller, body: NewPassword) -> None:
    try:
        fakher.set_password(caller, body.ticket, body.new_password)
    except TicketGone:
        raise Refused(_problem(HTTPStatus.GONE, "Ask for a new code.")) from None
    except WeakPassword as weak:
        raise Refused(
            Problem(
                type="urn:ramz:weak-password",
                title="The password is weak.",
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
                detail="Choose another one; the ticket stays good.",
                reasons=weak.reasons,
            )
        ) from None


def _verify_password(fakher: Fakher, caller: Caller, body: PasswordTry) -> BaseModel:
    asked = body.root
    if isinstance(asked, ByNationalId):
        login = fakher.verify_password(caller, asked.password, person=asked.national_id)
    else:
        login = fakher.verify_password(caller, asked.password, username=asked.username)
    return PasswordVerdict(verified=login.verified, must_change=login.must_change)


WORK: dict[str, Callable[..., BaseModel | None]] = {
    "verifyCode": _verify_code,
    "setPassword": _set_password,
    "verifyPassword": _verify_password,
}


def _problem(status: int, detail: str | None = None, **more: Any) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=int(status), detail=detail, **more)


def _answer(said: BaseModel | None, status: HTTPStatus) -> Response:
    answer = Response(said.model_dump_json() if said else b"", status, content_type=JSON)
    if said is None:
        del answer.headers["Content-Type"]
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _refusal(refused: Refused) -> Response:
    problem = refused.problem
    answer = Response(problem.model_dump_json(exclude_none=True), problem.status, content_type=PROBLEM)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers.update(refused.headers)
    return answer
