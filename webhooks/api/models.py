"""What goes in and out of Fakher's API. These models check what comes in, and out of them the API is described."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, ValidationError

from bot.credentials.bearer import PATTERN
from bot.credentials.password_policy import Weakness
from dialogs.vocabulary import FakherEvent

_DIGIT = "[0-9۰-۹٠-٩]"


class Model(BaseModel):
    """A JSON object with these members and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


NationalId = Annotated[
    str,
    Field(
        pattern=f"^{_DIGIT}{{8,10}}$",
        description="Ten digits; ASCII, Persian or Arabic. Up to two zeros may be missing at the front.",
        examples=["0012345679"],
    ),
]
Username = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]{1,80}$", description="The user name, as it is spelt.", examples=["leader5679"]),
]
Password = Annotated[
    str, Field(description="Any characters; compared after NFC.", examples=["saffron and copper pots"])
]


class CodeTry(Model):
    """A code that somebody typed in at Fakher."""

    national_id: NationalId
    code: str = Field(
        pattern=f"^{_DIGIT}{{6,10}}$", description="The digits, ASCII, Persian or Arabic.", examples=["482913"]
    )


class RightCode(Model):
    """The code was right, and is used up."""

    verified: Literal[True] = True
    ticket: str = Field(
        pattern=PATTERN,
        description="The right to choose a password, once.",
        examples=["8kq2m5n7p9r3t6v8x0z2b4.d6f8h0j2l4n6p8r0t2v4x6"],
    )
    expires_at: datetime = Field(description="When the ticket ends: ten minutes from now.")


class WrongCode(Model):
    """The code was not right, or there is none to try."""

    verified: Literal[False] = False
    reason: Literal["wrong_code", "no_live_code", "locked"] = Field(
        description="`wrong_code`: it can be tried again. `no_live_code`: none was sent, or it is used, expired or "
        "void. `locked`: it has no try left, or recovery is closed for the account."
    )
    tries_left: int = Field(ge=0, description="How often the code can still be tried.")


class CodeVerdict(RootModel[RightCode | WrongCode]):
    """Whether the code was right."""


class NewPassword(Model):
    """A password of one's own, by the right that a code gave."""

    ticket: str = Field(
        pattern=PATTERN,
        description="From `/api/v1/codes/verify`.",
        examples=["8kq2m5n7p9r3t6v8x0z2b4.d6f8h0j2l4n6p8r0t2v4x6"],
    )
    new_password: Password


class ByNationalId(Model):
    """A login by national ID."""

    national_id: NationalId
    password: Password


class ByUsername(Model):
    """A login by user name."""

    username: Username
    password: Password


def _named(value: Any) -> str:
    return "national_id" if isinstance(value, Mapping) and "national_id" in value else "username"


class PasswordTry(
    RootModel[
        Annotated[
            Annotated[ByNationalId, Tag("national_id")] | Annotated[ByUsername, Tag("username")], Discriminator(_named)
        ]
    ]
):
    """A login, by one or the other name."""


class PasswordVerdict(Model):
    """Whether the password was right."""

    verified: bool
    must_change: bool = Field(description="The password was generated: it must be changed now, and dies 72 hours old.")


class Fault(Model):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="Where, as a JSON Pointer (RFC 6901); empty for the whole.", examples=["/code"])
    detail: str


class Problem(Model):
    """What is wrong (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank", "urn:ramz:weak-password"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str | None = None
    errors: list[Fault] | None = Field(default=None, description="For a malformed request: each fault.")
    reasons: list[Weakness] | None = Field(default=None, description="For a weak password: why it is refused.")


class Account(Model):
    """Whose account an event is about."""

    national_id: str
    username: str


class EventMessage(Model):
    """What is posted to Fakher, so that it ends open sessions."""

    type: FakherEvent
    timestamp: datetime = Field(description="When it happened.")
    data: Account


def faults(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """What is wrong with a body, without a word of what it held."""
    # A choice between two models puts the name of the one that was meant before the place in it.
    skipped = 1 if issubclass(model, PasswordTry) else 0
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [Fault(pointer=_pointer(detail["loc"][skipped:]), detail=detail["msg"]) for detail in found]


def _pointer(place: tuple[int | str, ...]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
