"""The operations of Fakher's API: what each takes and answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from webhooks.api.models import CodeTry, CodeVerdict, NewPassword, PasswordTry, PasswordVerdict

PROBLEM = "application/problem+json"
TICKET = "8kq2m5n7p9r3t6v8x0z2b4.d6f8h0j2l4n6p8r0t2v4x6"


@dataclass(frozen=True)
class Described:
    """One operation: a POST with a JSON body."""

    name: str
    path: str
    summary: str
    description: str
    body: Any
    asked: Mapping[str, Any]
    done: HTTPStatus
    answer: Any = None
    answers: Mapping[str, Any] | None = None
    problems: Mapping[int, str] | None = None


OPERATIONS = (
    Described(
        name="verifyCode",
        path="/api/v1/codes/verify",
        summary="Try a code",
        description="A code is good once, here or by text; wrong tries count over both. A right one gives a ticket.",
        body=CodeTry,
        asked={"a code as it was typed": {"national_id": "0012345679", "code": "482913"}},
        done=HTTPStatus.OK,
        answer=CodeVerdict,
        answers={
            "right": {"verified": True, "ticket": TICKET, "expires_at": "2026-09-01T09:10:00Z"},
            "wrong": {"verified": False, "reason": "wrong_code", "tries_left": 4},
            "its last try was wrong": {"verified": False, "reason": "locked", "tries_left": 0},
            "none is live": {"verified": False, "reason": "no_live_code", "tries_left": 0},
        },
    ),
    Described(
        name="setPassword",
        path="/api/v1/passwords",
        summary="Set a password",
        description="The password that the ticket's holder has chosen. The registered mobile is told of it.",
        body=NewPassword,
        asked={"a password of one's own": {"ticket": TICKET, "new_password": "saffron and copper pots"}},
        done=HTTPStatus.NO_CONTENT,
        problems={
            410: "The ticket is used, expired or void: ask for a new code.",
            422: "The body is malformed (`errors`), or the password is weak (`reasons`); then the ticket stays good.",
        },
    ),
    Described(
        name="verifyPassword",
        path="/api/v1/passwords/verify",
        summary="Check a login",
        description="By user name or by national ID. Unknown and inactive accounts have no right password.",
        body=PasswordTry,
        asked={
            "by user name": {"username": "leader5679", "password": "saffron and copper pots"},
            "by national ID": {"national_id": "0012345679", "password": "k7mw4qtz9hdx"},
        },
        done=HTTPStatus.OK,
        answer=PasswordVerdict,
        answers={
            "their own": {"verified": True, "must_change": False},
            "generated": {"verified": True, "must_change": True},
            "wrong": {"verified": False, "must_change": False},
        },
    ),
)
