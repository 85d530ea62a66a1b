"""A provider's file: how it is asked to send, what its answers mean, how it brings texts and receipts.

The file is checked whole when it is read: BadProfile names at once all that is wrong in it.
"""

import re
import string
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bot.profiles.faults import faults
from bot.profiles.places import FORMS, places
from bot.profiles.spellings import in_one_spelling
from bot.profiles.values import NO_PATH, Errors, Path, Stages, Text, Texts, is_path
from dialogs.replies.phrases import languages

INBOUND_SECRET = "inbound_secret"  # noqa: S105  # a setting's name
# What fills places beside the provider's own settings, section by section.
# `ref` is another name of `uid`.
SENT_WITH = {"to", "text", "uid", "ref", "seconds", "minutes", "receipts"}
PATTERN_WITH = {"to", "uid", "ref", "template", *"123456789"}
# In the place of an id's path: what the text is called at the provider is our own id of it, which it was sent with.
OWN_ID = "{uid}"
# The phrases that nobody answers. Templates mostly leave from a line that is not ours: a reply would be lost.
NEED_NO_REPLY = {
    "new_password", "code_for_fakher", "code_for_fakher_with_domain", "code_to_console", "password_changed",
    "code_to_put_staff", "code_to_remove_staff",
    "password_changed_no_phone", "recovery_locked", "refer_office", "season_opens", "season_closed", "mobile_changed",
}  # fmt: skip


class BadProfile(Exception):
    """A profile can't be used: one line a fault, each beginning with the key's name."""

    def __init__(self, faults: list[str]) -> None:
        """Keep every fault."""
        super().__init__("\n".join(faults))
        self.faults = faults


class Section(BaseModel):
    """A table of the file. A key that it does not know is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RequestTemplate(Section):
    """How to ask the provider for something. At most one of `form` and `json` is its body."""

    method: Literal["GET", "POST"] = "POST"
    path: str = Field(pattern=r"^/[^\s#]*$")
    query: Texts = {}
    headers: Texts = {}
    form: Texts | None = None
    json_body: dict[str, Any] | list[Any] | None = Field(default=None, alias="json")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.form is not None and self.json_body is not None:
            raise ValueError("form and json can't stand together")
        if self.method == "GET" and (self.form is not None or self.json_body is not None):
            raise ValueError("a GET has no form and no json: use query")
        return self


class Answers(Section):
    """What says that a text was taken, and by which id.

    In `format = "json"` values are found by paths (`entries.0.status`; capitals don't matter where there is no exact
    match); in `"text"` by regular expressions, whose first group is the value. `accepted` has the values that must be
    there, several with | between, or * for any. `no_id` says what it means where the id is one of these. An `id` of
    `{uid}` says that the text is known by our own id, which [send] gives it.
    """

    format: Literal["json", "text"] = "json"
    accepted: Texts = Field(min_length=1)
    id: str
    no_id: Errors = {}
    code: list[str] = []

    @model_validator(mode="after")
    def _findable(self) -> Self:
        ids = [] if self.id == OWN_ID else [self.id]
        for key, paths in (("accepted", self.accepted), ("id", ids), ("code", self.code)):
            for path in paths:
                self._check(key, path)
        return self

    def _check(self, key: str, path: str) -> None:
        if self.format == "text" and _groups(path) < 1:
            raise ValueError(f"{key}: {path!r} is not a regular expression with a group")
        if self.format == "json" and not is_path(path):
            raise ValueError(f"{key}: {path!r} {NO_PATH}")


class Recall(RequestTemplate):
    """How to ask, before a text is sent again, whether the provider has it already: by our own id, `{uid}`."""

    id: Path
    none: list[Text] = []  # what the id is where the provider has no such text


class Fields(Section):
    """Where a text's parts stand. `date_is` says how a date is written: seconds since 1970, ISO, ISO in Tehran."""

    sender: Path
    text: Path
    id: Path = ""
    date: Path = ""
    date_is: Literal["unix", "iso", "tehran"] = "iso"
    # A text in hexadecimal UTF-16, where a field has a value: { text = "binary", where = "coding", is = "8" }.
    hex16: dict[Literal["text", "where", "is"], str] | None = None

    @field_validator("hex16")
    @classmethod
    def _whole(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        if given is not None and len(given) < 3:
            raise ValueError("needs text, where and is")
        return given


class InboundCall(Fields):
    """A call that brings a text, or several in the list at a path of its JSON (`.` for the whole).

    `answer` is what the provider wants to read then.
    """

    methods: list[Literal["GET", "POST"]] = Field(default=["GET", "POST"], min_length=1)
    items: Path = Field(default="", alias="list")
    answer: str = ""


class ReceiptCall(Section):
    """A call that brings receipts: one in its fields, or several in the list at a path of its JSON (`.` for itself)."""

    methods: list[Literal["GET", "POST"]] = Field(default=["GET", "POST"], min_length=1)
    items: Path = Field(default="", alias="list")
    id: Path
    status: Path
    map: Stages = Field(min_length=1)
    answer: str = ""


class PollReceipts(RequestTemplate):
    """How to ask for receipts: of the texts `{ids}`, so many a call, some seconds after sending until some hours."""

    accepted: Texts | None = None  # absent: what [answer] says, as far as it is there
    items: Path = Field(default="", alias="list")
    id: Path = ""  # absent: the one that was asked for
    status: Path
    map: Stages = {}  # absent: that of [receipts]
    batch: int = Field(default=100, ge=1, le=1000)
    from_seconds: int = Field(default=20, ge=5, le=600)
    until_hours: int = Field(default=48, ge=1, le=72)

    @model_validator(mode="after")
    def _tells_them_apart(self) -> Self:
        if not self.id and self.batch > 1:
            raise ValueError("without an id in the answer, batch must be 1")
        return self


class PollInbound(RequestTemplate):
    """How to ask for texts: every so many seconds, popping, or from a cursor, the largest id or the like so far."""

    accepted: Texts | None = None
    items: Path = Field(alias="list")
    sender: Path
    text: Path
    id: Path = ""
    date: Path = ""
    date_is: Literal["unix", "iso", "tehran"] = "iso"
    pops: bool = False
    cursor: Path = ""
    start: str = "0"
    every: int = Field(default=3, ge=2, le=300)
    batch: int = Field(default=100, ge=1, le=1000)

    @model_validator(mode="after")
    def _known_texts_are_known(self) -> Self:
        if not self.pops and not self.id:
            raise ValueError("what does not pop comes again: it needs an id")
        if not self.pops and not self.date and not self.cursor:
            raise ValueError("what does not pop brings old texts at the first call: it needs a date, or a cursor")
        return self

    @property
    def fields(self) -> Fields:
        """Where a text's parts stand."""
        names = ("sender", "text", "id", "date", "date_is")
        return Fields(**{name: getattr(self, name) for name in names})


class Poll(Section):
    """What the provider is asked for, because it does not call."""

    receipts: PollReceipts | None = None
    inbound: PollInbound | None = None


class Pattern(RequestTemplate):
    """How to send by an approved template. `templates` has a template's name and its values for `phrase.language`.

    A phrase without one goes as plain text, or by the next gateway (`otherwise`).
    """

    otherwise: Literal["text", "next"] = "text"
    own_line: bool = False  # whether templates leave from our own line, so that a reply reaches us
    templates: dict[str, list[str]] = {}
    id: Path = ""  # absent: that of [answer]

    @field_validator("templates")
    @classmethod
    def _fitting(cls, templates: dict[str, list[str]]) -> dict[str, list[str]]:
        wrong = [fault for key, values in templates.items() for fault in _template_faults(key, values)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return templates

    @model_validator(mode="after")
    def _needs_no_reply(self) -> Self:
        wrong = {key.partition(".")[0] for key in self.templates} - NEED_NO_REPLY
        if wrong and not self.own_line:
            raise ValueError(
                f"{', '.join(sorted(wrong))}: a template's line is not ours, so a reply to it would be lost; "
                "say own_line = true if yours are sent from your own line"
            )
        return self


class Profile(Section):
    """A provider's whole file."""

    base: str
    needs: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = []
    numbers: Literal["national", "bare", "international", "e164"] = "national"
    headers: Texts = {}
    basic: tuple[str, str] | None = None
    secret: str = Field(default="query:secret", pattern=r"^(query:[^\s:]+|header:[A-Za-z0-9-]+|path)$")
    send: RequestTemplate
    answer: Answers
    errors: Errors = {}
    recall: Recall | None = None
    inbound: InboundCall | None = None
    receipts: ReceiptCall | None = None
    poll: Poll = Poll()
    pattern: Pattern | None = None

    @field_validator("base")
    @classmethod
    def _safe(cls, base: str) -> str:
        return checked_base(base)

    @model_validator(mode="after")
    def _filled(self) -> Self:
        wrong = [*self._unknown_places(), *self._halves()]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @property
    def is_heard(self) -> bool:
        """Whether texts can come in."""
        return self.inbound is not None or self.poll.inbound is not None

    def _unknown_places(self) -> Iterator[str]:
        sections: list[tuple[str, Any, Collection[str]]] = [
            ("headers", self.headers, ()),
            ("basic", self.basic, ()),
            ("send", self.send, SENT_WITH),
            ("recall", self.recall, {"uid", "ref"}),
            ("pattern", self.pattern, PATTERN_WITH),
            ("poll.receipts", self.poll.receipts, {"ids"}),
            ("poll.inbound", self.poll.inbound, {"cursor", "page"}),
        ]
        for name, section, known in sections:
            asked = request_texts(section) if isinstance(section, RequestTemplate) else section
            for place, form in places(asked):
                if place not in known and place not in self.needs:
                    yield f"{name}: {{{place}}} is nothing that fills it; it may hold {_named(known, self.needs)}"
                if form is not None and form not in FORMS:
                    yield f"{name}: {{{place}:{form}}}: the forms are {', '.join(sorted(FORMS))}"

    def _halves(self) -> Iterator[str]:
        calls = self.inbound is not None or self.receipts is not None
        if calls and INBOUND_SECRET not in self.needs:
            yield f"needs: must have {INBOUND_SECRET}, which the provider's calls carry"
        if self.poll.receipts and not (self.poll.receipts.map or self.receipts):
            yield "poll.receipts.map: missing, as is that of [receipts]"
        gives_uid = bool({"uid", "ref"} & {place for place, _ in places(request_texts(self.send))})
        if self.recall and not gives_uid:
            yield "recall: [send] gives the provider no {uid} to ask by"
        if self.answer.id == OWN_ID and not gives_uid:
            yield "answer.id: [send] gives the provider no {uid} that the text could be known by"


SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): Profile,
    ("send",): RequestTemplate,
    ("answer",): Answers,
    ("recall",): Recall,
    ("inbound",): InboundCall,
    ("receipts",): ReceiptCall,
    ("poll",): Poll,
    ("poll", "receipts"): PollReceipts,
    ("poll", "inbound"): PollInbound,
    ("pattern",): Pattern,
}


def request_texts(request: RequestTemplate) -> list[Any]:
    """All that a request may have places in."""
    return [request.path, request.query, request.headers, request.form, request.json_body]


def checked_base(base: str) -> str:
    """An address that may be sent secrets: https, or http on this machine. ValueError for any other."""
    try:
        found = urlsplit(base)
        _ = found.port  # an impossible one raises ValueError
    except ValueError:
        raise ValueError("has a host or a port that there can't be") from None
    if not found.hostname or found.username is not None or found.query or found.fragment or re.search(r"\s", base):
        raise ValueError("must be https, a host, and if need be a port and a path")
    if found.scheme != "https" and not (found.scheme == "http" and found.hostname in {"127.0.0.1", "localhost", "::1"}):
        raise ValueError("must be https: it carries keys and texts")
    return base.rstrip("/")


def read(text: str) -> Profile:
    """A profile out of a file's text; BadProfile names all that is wrong."""
    try:
        return Profile.model_validate(in_one_spelling(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise BadProfile([f"is not TOML: {error}"]) from None
    except RecursionError:
        raise BadProfile(["is not TOML: too many brackets within one another"]) from None
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        raise BadProfile([fault for detail in details for fault in faults(detail, _keys)]) from None


def _keys(section: tuple[str, ...]) -> list[str]:
    """The keys that a section of the file may have; none where there is no such section."""
    model = SECTIONS.get(section)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _named(known: Collection[str], needs: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in (*sorted(known), *needs)) or "nothing"


def _groups(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error:
        return 0


def _template_faults(key: str, values: list[str]) -> Iterator[str]:
    phrase, _, language = key.partition(".")
    if language not in languages() or phrase not in languages()[language]["phrases"]:
        yield f"{key} is no phrase in a language, as new_password.fa"
    elif not values or not values[0]:
        yield f"{key} lacks its template's name"
    elif unknown := set(values[1:]) - _parameters(phrase, language):
        yield f"{key} has no value called {', '.join(sorted(unknown))}"


@cache
def _parameters(phrase: str, language: str) -> frozenset[str]:
    written = languages()[language]["phrases"][phrase]
    return frozenset(name for _, name, _, _ in string.Formatter().parse(written) if name)
