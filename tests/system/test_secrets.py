"""What must show nowhere: codes, passwords and texts at all; IDs and numbers in no line, page or figure."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from twilio.request_validator import RequestValidator

from bot.build import Bot, build
from bot.credentials import one_time_codes, passwords
from bot.credentials.keyring import Keyring
from bot.gateways.simulated import HEADER, Message, Simulated
from bot.inbound.context import IncomingMessage
from bot.platform import log
from bot.ports import Call, Inbound, Outbound, Reason, SendFailed
from bot.sending.courier import SendResult
from bot.settings import read_keys
from dialogs.vocabulary import Event, Intent, Naming, ParsedMessage
from store.database.engine import Store
from store.outbound_messages import ClaimedMessage
from store.tables import MessageKind
from tests.support.parts import CHEAP, KEYS, NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import EVERYBODY, OMID, PHONES, STRANGER, UNKNOWN_ID, ZAHRA, settle
from webhooks import create_app

PLEA = "خواهشمندم-نیلوفرانه"  # a word that only these texts have
WRONG = "482915"
AUTH_TOKEN, ACCOUNT_SID = "auth-token-of-nobody", "AC00000000000000000000000000000000"
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
KEY = KEYS.removeprefix("k1:")


class MarkedDice(LoadedRandomSource):
    """A random source whose values are easily found again."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = count(739151)
        self.drawn: list[str] = []

    def password(self, length: int, alphabet: str) -> str:
        self.drawn.append(f"zq7mw4ktxh{next(self.words):02d}".replace("0", "9").replace("1", "8")[:length])
        return self.drawn[-1]


class Chatterbox(Carrier):
    """A gateway that breaks, and tells in its error what it was given."""

    def send(self, text: Outbound) -> str:
        raise RuntimeError(f"could not send {text.text} to {text.to}")


@dataclass
class Witness:
    """Hears all that a bot prints and answers."""

    log: StringIO
    said: list[str] = field(default_factory=list)

    def texts(self) -> str:
        """All of it, with what JSON escapes written out."""
        return ESCAPED.sub(lambda found: chr(int(found[1], 16)), "\n".join([self.log.getvalue(), *self.said]))


@pytest.fixture
def witness() -> Iterator[Witness]:
    """The log as it is set up for a service, but listening to everything."""
    root, stream = logging.getLogger(), StringIO()
    handlers, level = root.handlers[:], root.level
    log.set_up(stream)
    root.setLevel(1)
    yield Witness(stream)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def people_in(words: str) -> list[str]:
    """The IDs and numbers that can be read in it."""
    names = [person["national_id"] for person in EVERYBODY] + [UNKNOWN_ID]
    numbers = [phone.removeprefix("+98") for phone in {*PHONES.values(), STRANGER}]
    return [name for name in names + numbers if name in words]


def secrets_in(words: str, random_source: MarkedDice) -> list[str]:
    """The codes, passwords, texts and keys that can be read in it."""
    drawn = [str(code) for code in range(739151, next(random_source.codes))]
    assert drawn, "no code was drawn"
    rendered = ["کد فاخر", "رمز تازه", "Fakher code"]
    hidden = [
        *drawn,
        *random_source.drawn,
        WRONG,
        PLEA,
        "نیلوفرانه",
        *rendered,
        KEY,
        KEY[:20],
        AUTH_TOKEN,
        "zq7mw4ktxh",
    ]
    return [secret for secret in hidden if secret in words]


@dataclass
class World:
    """A bot behind its webhooks, spoken to as the simulated carrier speaks."""

    bot: Bot
    witness: Witness
    client: FlaskClient
    numbers: "count[int]" = field(default_factory=count)

    def call(self, form: dict[str, str], path: str = "/webhooks/simulated/sms", *, signed: bool = True) -> int:
        keyring = Simulated(self.bot.store, self.bot.keyring, self.bot.clock, self.bot.parts.random_source)
        url = self.bot.settings.public_url + path
        headers = {HEADER: keyring.sign(url, form), "X-Test": "yes"} if signed else {}
        answer = self.client.post(path, data=form, headers=headers)
        self.witness.said.append(f"{answer.status}\n{answer.headers}\n{answer.get_data(as_text=True)}")
        return answer.status_code

    def say(self, phone: str, words: str) -> int:
        status = self.call({"from": phone, "id": f"M{next(self.numbers)}", "text": words})
        self.bot.courier.deliver_due()
        return status

    def look(self, path: str) -> str:
        answer = self.client.get(path)
        self.witness.said.append(f"{answer.status}\n{answer.headers}\n{answer.get_data(as_text=True)}")
        return answer.get_data(as_text=True)


def world_of(store: Store, witness: Witness, random_source: MarkedDice, *gateways: Carrier) -> World:
    settle(store)
    bot = build(
        settings(),
        clock=StoppedClock(),
        random_source=random_source,
        gateways=gateways or None,
        store=store,
        cost=CHEAP,
    )
    return World(bot, witness, create_app(bot).test_client())


def recover(world: World, random_source: MarkedDice) -> None:
    """A whole recovery with all that can go wrong on a pilgrim's side."""
    zahra, omid = ZAHRA["mobile"], OMID["mobile"]
    first = 739151
    assert world.say(zahra, f"رمز {ZAHRA['national_id']} {PLEA}") == 200
    assert world.say(zahra, WRONG) == 200
    assert world.say(zahra, str(first)) == 200
    assert len(random_source.drawn) >= 1
    world.say(STRANGER, f"{PLEA} {UNKNOWN_ID}")
    world.say(STRANGER, f"رمز {UNKNOWN_ID}")
    world.say(STRANGER, f"رمز {OMID['national_id']}")
    world.say(omid, PLEA)
    world.say(omid, "STOP")
    world.say(omid, f"RESET {OMID['national_id']}")
    for _ in range(6):
        world.say(omid, WRONG)


def test_a_recovery_shows_nothing(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    world = world_of(store, witness, random_source)
    recover(world, random_source)
    for path in ("/healthz", "/readyz", "/metrics", f"/{ZAHRA['national_id'][:4]}", "/webhooks/simulated/sms"):
        world.look(path)
    for job in world.bot.jobs.all():
        world.bot.jobs.safely(job)
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


def test_a_call_that_is_refused_is_not_repeated(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    world = world_of(store, witness, random_source)
    world.say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    form = {"from": ZAHRA["mobile"], "id": "M99", "text": f"{PLEA} {ZAHRA['national_id']}"}
    assert world.call(form, signed=False) == 403
    assert world.call({**form, "id": ""}) == 400
    assert world.call({**form, "from": ""}) == 400
    assert world.call({**form, "text": PLEA * 20_000}) == 413
    assert world.call({"id": "P-unknown", "status": "delivered"}, "/webhooks/simulated/receipts") in (200, 204)
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


def test_a_gateway_that_breaks_tells_nothing(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    world = world_of(store, witness, random_source, Chatterbox())
    world.say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']} {PLEA}")
    world.say(ZAHRA["mobile"], WRONG)
    assert "gateway_broken" in witness.log.getvalue()
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


def test_a_gateway_that_refuses_tells_its_reason_and_no_more(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    failures = [
        SendFailed(Reason.NOT_A_MOBILE, permanent=True, code="21211"),
        SendFailed(Reason.TIMEOUT, permanent=False),
    ]
    world = world_of(store, witness, random_source, Carrier(failures=failures))
    world.say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    world.say(ZAHRA["mobile"], WRONG)
    assert "21211" in witness.log.getvalue()
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


@pytest.mark.parametrize("lost", ["inbound_message", "outbound_message", "conversation", "code"])
def test_a_database_that_fails_in_the_middle_tells_nothing(store: Store, witness: Witness, lost: str) -> None:
    random_source = MarkedDice()
    world = world_of(store, witness, random_source)
    world.say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']} {PLEA}")
    with store.writing() as connection:
        connection.execute(text(f"DROP TABLE {lost}"))
    for words in (f"رمز {ZAHRA['national_id']} {PLEA}", "739151", WRONG):
        form = {"from": ZAHRA["mobile"], "id": f"M{next(world.numbers)}", "text": words}
        assert world.call(form) in (500, 503)
    for job in world.bot.jobs.all():
        world.bot.jobs.safely(job)
    world.look("/readyz")
    world.look("/metrics")
    assert "error" in witness.log.getvalue()
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


class TellingDice(MarkedDice):
    """A random source that fails with what it has drawn in its message."""

    def token(self) -> str:
        raise RuntimeError(self.digits(6))


def test_a_fault_of_our_own_tells_nothing(store: Store, witness: Witness) -> None:
    random_source = TellingDice()
    world = world_of(store, witness, random_source)
    assert world.call({"from": ZAHRA["mobile"], "id": "M1", "text": f"رمز {ZAHRA['national_id']}"}) == 500
    assert "RuntimeError" in witness.log.getvalue()
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


def test_twilio_out_of_reach_tells_neither_text_nor_token(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    settle(store)
    chosen = settings(
        GATEWAYS="twilio",
        TWILIO_ACCOUNT_SID=ACCOUNT_SID,
        TWILIO_AUTH_TOKEN=AUTH_TOKEN,
        TWILIO_SENDER="+15005550006",
        TWILIO_API_URL="http://127.0.0.1:1",
    )
    bot = build(chosen, clock=StoppedClock(), random_source=random_source, store=store, cost=CHEAP)
    form = {"From": ZAHRA["mobile"], "MessageSid": f"SM{1:032x}", "Body": f"رمز {ZAHRA['national_id']} {PLEA}"}
    path = "/webhooks/twilio/sms"
    signature = RequestValidator(AUTH_TOKEN).compute_signature(chosen.public_url + path, form)
    client = create_app(bot).test_client()
    answers = [client.post(path, data=form, headers={"X-Twilio-Signature": it}) for it in (signature, "x")]
    assert [answer.status_code for answer in answers] == [200, 403]
    bot.courier.deliver_due()
    assert "no_connection" in witness.log.getvalue()
    witness.said += [answer.get_data(as_text=True) for answer in answers]
    assert secrets_in(witness.texts(), random_source) == []
    assert people_in(witness.texts()) == []


def test_the_witness_would_hear_it(witness: Witness) -> None:
    """Without this the tests above might pass because nothing is written at all."""
    logging.getLogger("somebody").debug("code 739151 of %s", ZAHRA["national_id"])
    log.logger("somebody").debug("told", text=PLEA)
    random_source = MarkedDice()
    random_source.digits(6)
    assert set(secrets_in(witness.texts(), random_source)) >= {"739151", PLEA}
    assert people_in(witness.texts()) == [ZAHRA["national_id"]]


def test_an_error_is_logged_by_its_kind_and_place(witness: Witness) -> None:
    try:
        raise ValueError(PLEA)
    except ValueError as error:
        log.logger("test").error("failed", error_seen=error)
    line = witness.texts()
    assert "ValueError" in line
    assert "test_an_error_is_logged" in line
    assert PLEA not in line


def test_an_error_of_the_database_quotes_no_value(store: Store) -> None:
    asking = text("SELECT :person FROM nowhere")
    with store.reading() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(asking, {"person": ZAHRA["national_id"]})
    assert "nowhere" in str(caught.value)
    assert people_in(str(caught.value) + repr(caught.value)) == []


# At rest


def bytes_of(url: str) -> bytes:
    path = url.removeprefix("sqlite:///")
    files = [Path(path + tail) for tail in ("", "-wal", "-shm", "-journal")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def test_a_database_file_holds_no_code_password_or_text(sqlite_url: str, witness: Witness) -> None:
    random_source, store = MarkedDice(), Store(sqlite_url)
    world = world_of(store, witness, random_source)
    recover(world, random_source)
    open_file = bytes_of(sqlite_url)
    store.close()
    for found in (open_file, bytes_of(sqlite_url)):
        assert ZAHRA["national_id"].encode() in found, "the wrong file"
        assert secrets_in(found.decode("latin-1"), random_source) == []
        assert not [word for word in (PLEA, "نیلوفرانه", "کد فاخر", "رمز تازه") if word.encode() in found]


def test_the_audit_holds_no_code_password_text_id_or_number(store: Store, witness: Witness) -> None:
    random_source = MarkedDice()
    world = world_of(store, witness, random_source)
    recover(world, random_source)
    world.bot.audit_chain.seal_due()
    with store.reading() as connection:
        rows = [row for name in ("audit", "audit_head") for row in connection.execute(text(f"SELECT * FROM {name}"))]
    told = repr(rows)
    assert "…4567" in told, "the wrong rows"
    assert len(rows) > 15
    assert secrets_in(told, random_source) == []
    assert people_in(told) == []


def test_what_was_sealed_is_gone_from_the_file_once_it_has_left(sqlite_url: str, witness: Witness) -> None:
    random_source, store = MarkedDice(), Store(sqlite_url)
    world = world_of(store, witness, random_source, Carrier())
    for number, person in enumerate((ZAHRA, OMID)):
        words = f"رمز {person['national_id']}"
        world.call({"from": person["mobile"], "id": f"M{number}", "text": words})
        world.call({"from": STRANGER, "id": f"S{number}", "text": "راهنما"})
    with store.reading() as connection:
        sealed = list(
            connection.execute(text("SELECT secret FROM outbound_message WHERE secret IS NOT NULL")).scalars()
        )
    assert [world.bot.keyring.open(each) for each in sealed] == ["739151", "739152"]
    before = bytes_of(sqlite_url)
    assert all(each in before for each in sealed)
    world.bot.courier.deliver_due()
    with store.reading() as connection:
        assert (
            connection.execute(text("SELECT count(*) FROM outbound_message WHERE secret IS NOT NULL")).scalar_one() == 0
        )
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    store.close()
    after = bytes_of(sqlite_url)
    # SQLite writes over the first bytes of what it frees, so part of a secret is looked for as well.
    assert not [each for each in sealed if each in after or each[20:-20] in after]


# What a traceback or a debugger would show


def shown() -> list[object]:
    keyring, random_source = Keyring.of(read_keys(KEYS)), MarkedDice()
    words = f"رمز {ZAHRA['national_id']} {PLEA}"
    heard = ParsedMessage(Intent.CODE, Naming.ONE, ZAHRA["national_id"], "739151", "fa")
    inbound = Inbound("simulated", "M1", ZAHRA["mobile"], words)
    drawn = one_time_codes.draw(random_source, keyring, 6)
    claimed = ClaimedMessage(
        1, 0, ZAHRA["mobile"], "fa", "code", {"code": "739151"}, b"739151", "simulated", None, 1, 0, NOON, NOON, NOON
    )
    return [
        heard,
        inbound,
        drawn,
        IncomingMessage(inbound, ZAHRA["mobile"], heard, drawn),
        passwords.generate(random_source, keyring),
        Outbound(1, MessageKind.CODE, ZAHRA["mobile"], f"کد فاخر: 739151 {PLEA}", 600),
        Message(1, "P1", f"کد فاخر: 739151 {PLEA}", NOON),
        claimed,
        SendResult(claimed, "simulated", failure=SendFailed(Reason.NOT_A_MOBILE, permanent=True, code="21211")),
        Call("http://x/sms", {}, {"Body": words}, {"text": words, "secret": AUTH_TOKEN}, words.encode()),
        settings(TWILIO_AUTH_TOKEN=AUTH_TOKEN),
        keyring,
    ]


@pytest.mark.parametrize("thing", shown(), ids=lambda thing: type(thing).__name__)
def test_a_thing_in_play_shows_no_code_password_or_text(thing: object) -> None:
    random_source = MarkedDice()
    random_source.digits(6)
    random_source.password(12, "")
    assert secrets_in(repr(thing) + str(thing), random_source) == []


def test_a_recovery_is_seen_through(store: Store, witness: Witness) -> None:
    """The run that is scanned above does what it is meant to."""
    random_source = MarkedDice()
    world = world_of(store, witness, random_source, Carrier())
    hear = world.bot.hear
    assert hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']} {PLEA}")) is Event.ASKED
    assert hear(Inbound("simulated", "M2", ZAHRA["mobile"], WRONG)) is Event.WRONG_CODE
    assert hear(Inbound("simulated", "M3", ZAHRA["mobile"], "739151")) is Event.RIGHT_CODE
