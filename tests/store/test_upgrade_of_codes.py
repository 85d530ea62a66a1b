"""An upgrade loses nothing: codes, orders, tickets and texts that are out under 0008 are good after it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Connection, LargeBinary, bindparam, inspect, select, text

from bot.accounts.console_login import Entered
from bot.build import Bot, build
from bot.credentials.bearer import Bearer
from bot.credentials.keyring import Keyring
from bot.fakher.service import Caller
from bot.ports import Inbound
from bot.settings import read_keys
from dialogs.staff_vocabulary import StaffEvent
from dialogs.vocabulary import AnyEvent, Event
from store import conversations
from store.database import migrate
from store.database.engine import Store
from store.database.times import Utc
from store.tables import (
    METADATA,
    CodeRow,
    ConversationRow,
    DeliveryStatus,
    InboundMessageRow,
    OutboundMessageRow,
    ResetGrantRow,
    StaffOrderRow,
    table,
)
from tests.support.databases import Fresh
from tests.support.parts import KEYS, NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import CHIEF, FATIMA, OMID, STRANGER, UNKNOWN_ID, ZAHRA

KEYRING = Keyring.of(read_keys(KEYS))
THEN, LATER = NOON - timedelta(minutes=1), NOON + timedelta(minutes=9)
LONG_AGO = NOON - timedelta(days=3)
TYPES: dict[type, Any] = {datetime: Utc(), bytes: LargeBinary(), dict: JSON()}
FARID = {"national_id": "7604529186", "username": "farid", "mobile": "+989177778888"}
# Ids of rows, as the service of then drew them.
RECOVERY, CHANGE, ORDER, CONSOLE, USED, DONE, TICKET, BY_PHONE, OF_TICKET = (f"{n:022d}" for n in range(9))
CHOSEN = Bearer(TICKET, "S" * 22)


def put(connection: Connection, into: str, /, **row: Any) -> None:
    """A row, by a statement that knows nothing of today's tables."""
    values = ", ".join(f":{column}" for column in row)
    binds = [bindparam(column, value, type_=TYPES.get(type(value))) for column, value in row.items()]
    connection.execute(text(f"INSERT INTO {into} ({', '.join(row)}) VALUES ({values})").bindparams(*binds))


def tried(code_id: str, binding: str, digits: str, at: datetime = THEN, **more: Any) -> dict[str, Any]:
    """What the three tables of codes had in common. `binding` is what the digest was made over, besides the digits."""
    return {
        "id": code_id,
        "key_id": KEYRING.newest,
        "digest": KEYRING.code_digest(KEYRING.newest, binding + digits),
        "tries_left": 5,
        "created_at": at,
        "expires_at": at + timedelta(minutes=10),
        **more,
    }


def fill(connection: Connection) -> None:
    """A service in the middle of its day, as 0008 keeps it."""
    for number, person in enumerate((ZAHRA, OMID, FATIMA, FARID), 1):
        mine = {name: person[name] for name in ("national_id", "username", "mobile")}
        put(connection, "account", id=number, **mine, language="fa", active=True, failures=3, password_set_at=LONG_AGO)
    put(connection, "staff", id=1, mobile=CHIEF["mobile"], name="Chief", role="headquarters", added_at=LONG_AGO)
    _fill_codes(connection)
    _fill_texts(connection)
    for phone, state in (
        (ZAHRA["mobile"], "awaiting_code"),
        (OMID["mobile"], "awaiting_code_to_change"),
        (FARID["mobile"], "awaiting_new_password"),
    ):
        talk(connection, phone, state=state, ends_at=LATER)
    talk(connection, STRANGER, state="idle", opted_out_at=LONG_AGO, asked=4, hinted=2, shrugged=1, shrugged_at=THEN)


def _fill_codes(connection: Connection) -> None:
    for code_id, account, phone, digits in (
        (RECOVERY, 1, ZAHRA["mobile"], "100771"),
        (CHANGE, 2, OMID["mobile"], "100772"),
    ):
        live = tried(code_id, f"{code_id}:{account}:", digits)
        put(connection, "code", **live, account_id=account, phone=phone, by_owner=True)
    closed = {"closed_at": LONG_AGO, "fate": "used"}
    old = tried(USED, f"{USED}:1:", "100775", LONG_AGO)
    put(connection, "code", **old, account_id=1, phone=ZAHRA["mobile"], by_owner=False, staff_id=1, **closed)
    order = {"staff_id": 1, "command": "reset", "account_id": 4}
    put(connection, "confirmation", **tried(ORDER, f"confirmation:{ORDER}:1:", "100773"), **order, ref="R-1")
    done = tried(DONE, f"confirmation:{DONE}:1:", "100776", LONG_AGO)
    put(connection, "confirmation", **done, **order, ref="R-0", code_id=USED, told_at=LONG_AGO, **closed)
    put(connection, "console_code", **tried(CONSOLE, f"console:{CONSOLE}:1:", "100774"), staff_id=1)
    lasting = {"code_id": OF_TICKET, "created_at": THEN, "expires_at": LATER}
    put(connection, "ticket", id=TICKET, account_id=3, digest=CHOSEN.digest, **lasting)
    put(connection, "ticket", id=BY_PHONE, account_id=4, phone=FARID["mobile"], **lasting)


def _fill_texts(connection: Connection) -> None:
    waiting = {"language": "fa", "origin": "simulated", "heard_at": THEN, "created_at": THEN, "expires_at": LATER}
    waiting |= {"due_at": THEN, "attempts": 0, "rank": 0}
    secret, minutes = KEYRING.seal("100771"), {"minutes": "10"}
    code = {"kind": 0, "phone": ZAHRA["mobile"], "phrase": "code", "parameters": minutes, "secret": secret}
    put(connection, "outbox", **waiting, **code, code_id=RECOVERY, account_id=1)
    put(connection, "outbox", **waiting, kind=2, phone=FARID["mobile"], phrase="ask_new_password", parameters={})
    gone = waiting | {"rank": 9, "attempts": 1, "gateway": "simulated", "provider_id": "P1", "ended_at": THEN}
    put(connection, "outbox", **gone, kind=3, phone=OMID["mobile"], phrase="password_changed", parameters={})
    for name, event in (("M1", "asked"), ("M2", "unanswered"), ("M3", "help_unheard")):
        put(connection, "inbox", gateway="simulated", provider_id=name, heard_at=THEN, event=event)


def talk(connection: Connection, phone: str, **more: Any) -> None:
    row = {"version": 3, "table_version": 1, "heard_at": THEN, "hour_began_at": THEN, "asked": 1, "hinted": 0}
    put(connection, "conversation", phone=phone, **row | {"shrugged": 0} | more)


@pytest.fixture(scope="module")
def upgraded_once() -> dict[str, str]:
    """By kind of database, the URL of the one that was upgraded, which the tests copy."""
    return {}


@pytest.fixture
def upgraded(request: pytest.FixtureRequest, backend: str, upgraded_once: dict[str, str]) -> Iterator[Store]:
    """A database that 0008 made, filled, and brought up to date."""
    fresh: Fresh = request.getfixturevalue(f"fresh_{backend}")
    if backend not in upgraded_once:
        upgraded_once[backend] = upgrade(request.getfixturevalue("former"))
    with closing(Store(fresh(like=upgraded_once[backend]))) as store:
        yield store


def upgrade(former: Store) -> str:
    migrate.upgrade(former, "0008")
    with former.writing() as connection:
        fill(connection)
    migrate.upgrade(former)
    former.close()
    return former.url.render_as_string(hide_password=False)


@pytest.fixture
def restarted(upgraded: Store, carrier: Carrier, clock: StoppedClock, random_source: LoadedRandomSource) -> Bot:
    chosen = settings(OWN_PASSWORD_BY_SMS="on")
    return build(chosen, clock=clock, random_source=random_source, gateways=[carrier], store=upgraded)


Say = Callable[[str, str], AnyEvent | None]


@pytest.fixture
def say(restarted: Bot) -> Say:
    numbers = iter(range(100))
    return lambda phone, words: restarted.hear(Inbound("simulated", f"N{next(numbers)}", phone, words))


def rows(store: Store, model: Any) -> dict[str, Any]:
    """A table's rows, by their ids."""
    with store.reading() as connection:
        return {row[0]: row for row in connection.execute(select(table(model)))}


# What is out stays good


def test_a_code_that_is_out_brings_a_new_password(restarted: Bot, say: Say) -> None:
    assert say(ZAHRA["mobile"], "100779") is Event.WRONG_CODE
    assert say(ZAHRA["mobile"], "100771") is Event.RIGHT_CODE
    restarted.courier.deliver_due()
    assert any(
        row.phrase == "new_password" and row.status for row in rows(restarted.store, OutboundMessageRow).values()
    )
    assert say(ZAHRA["mobile"], "100771") is Event.NO_LIVE_CODE


def test_a_code_for_a_change_is_one_still(restarted: Bot, say: Say) -> None:
    assert say(OMID["mobile"], "100772") is Event.RIGHT_CODE_WITHOUT_PASSWORD
    assert say(OMID["mobile"], "100772 Saffron-1447-kettle") is Event.RIGHT_CODE_AND_PASSWORD
    verdict = restarted.fakher.verify_password(Caller("t"), "Saffron-1447-kettle", username="omid")
    assert (verdict.verified, verdict.must_change) == (True, False)


@pytest.mark.parametrize(("person", "digits"), [(ZAHRA, "100771"), (OMID, "100772")])
def test_a_code_that_is_out_is_good_at_fakher(restarted: Bot, person: dict[str, Any], digits: str) -> None:
    caller = Caller("t")
    assert restarted.fakher.verify_code(caller, person["national_id"], "100779").tries_left == 4
    assert restarted.fakher.verify_code(caller, person["national_id"], digits).ticket
    assert not restarted.fakher.verify_code(caller, person["national_id"], digits).ticket


def test_an_order_that_waits_is_carried_out(restarted: Bot, say: Say) -> None:
    assert say(CHIEF["mobile"], "100774") is StaffEvent.WRONG_CONFIRMATION, "the console's code is no confirmation"
    assert say(CHIEF["mobile"], "100773") is StaffEvent.CONFIRMED
    restarted.courier.deliver_due()
    order = rows(restarted.store, StaffOrderRow)[ORDER]
    assert (order.done_at, order.ref) == (restarted.clock(), "R-1")
    assert rows(restarted.store, CodeRow)[order.sent_code_id].account_id == 4
    assert say(CHIEF["mobile"], "100773") is StaffEvent.NO_LIVE_CONFIRMATION


def test_a_login_to_the_console_goes_on(restarted: Bot) -> None:
    asked = [code_id for code_id, code in rows(restarted.store, CodeRow).items() if code.staff_id is not None]

    def enter(digits: str) -> Entered | None:
        return restarted.console.enter(CHIEF["mobile"], digits, "there", asked)

    assert enter("100773") is None, "a confirmation lets nobody in"
    entered = enter("100774")
    assert entered is not None and restarted.console.login(entered.session.text) is not None
    assert enter("100774") is None


def test_a_ticket_that_is_out_is_good(restarted: Bot) -> None:
    restarted.fakher.set_password(Caller("t"), CHOSEN.text, "saffron and copper pots")
    assert restarted.fakher.verify_password(Caller("t"), "saffron and copper pots", username="fatima").verified


def test_a_right_to_choose_by_text_is_over_and_a_code_can_be_asked_for(upgraded: Store, say: Say) -> None:
    assert set(rows(upgraded, ResetGrantRow)) == {TICKET}
    assert say(FARID["mobile"], "Saffron-1447-kettle") is Event.NOT_UNDERSTOOD
    assert say(FARID["mobile"], f"رمز {FARID['national_id']}") is Event.ASKED


def test_texts_that_wait_leave(restarted: Bot, carrier: Carrier) -> None:
    restarted.courier.deliver_due()
    assert [(sent.to, "100771" in sent.text) for sent in carrier.sent] == [(ZAHRA["mobile"], True)]
    # What asks for a password by itself has nothing to say any more.
    status = {row.phrase: row.status for row in rows(restarted.store, OutboundMessageRow).values()}
    assert status == {
        "code": DeliveryStatus.ACCEPTED,
        "ask_new_password": DeliveryStatus.DROPPED,
        "password_changed": DeliveryStatus.DELIVERED,
    }


# What was stays


def test_all_that_was_kept_can_be_read(upgraded: Store) -> None:
    code, order = rows(upgraded, CodeRow), rows(upgraded, StaffOrderRow)
    assert {key: (it.purpose, it.requested_by, it.close_reason) for key, it in code.items()} == {
        RECOVERY: ("recovery", "owner", None),
        CHANGE: ("change", "owner", None),
        USED: ("recovery", "staff", "used"),
        ORDER: ("staff_order", "staff", None),
        DONE: ("staff_order", "staff", "used"),
        CONSOLE: ("console", "staff", None),
    }
    assert (code[ORDER].phone, code[ORDER].account_id, code[ORDER].staff_id) == (CHIEF["mobile"], None, 1)
    assert (code[USED].created_at, code[USED].closed_at, code[USED].staff_id) == (LONG_AGO, LONG_AGO, None)
    assert (order[ORDER].done_at, order[DONE].done_at, order[DONE].sent_code_id) == (None, LONG_AGO, USED)
    assert (order[DONE].command, order[DONE].account_id, order[DONE].staff_notified_at) == ("reset", 4, LONG_AGO)


def test_conversations_go_on_where_they_stood(upgraded: Store) -> None:
    found = rows(upgraded, ConversationRow)
    assert {phone: (row.state, row.ends_at) for phone, row in found.items()} == {
        ZAHRA["mobile"]: ("awaiting_code", LATER),
        OMID["mobile"]: ("awaiting_code_to_change", LATER),
        FARID["mobile"]: ("idle", None),
        STRANGER: ("idle", None),
    }
    silent = found[STRANGER]
    assert (silent.version, silent.last_text_at, silent.window_started_at) == (3, THEN, THEN)
    counts = silent.requests_this_hour, silent.hints_this_hour, silent.unparsed_replies, silent.unparsed_replied_at
    assert counts == (4, 2, 1, THEN)
    with upgraded.reading() as connection:
        assert conversations.has_opted_out(connection, STRANGER)


def test_what_was_not_answered_is_known(upgraded: Store) -> None:
    with upgraded.reading() as connection:
        heard = table(InboundMessageRow)
        found = connection.execute(select(heard.c.provider_id, heard.c.received_at, heard.c.answered))
        assert {row.provider_id: (row.received_at, row.answered) for row in found} == {
            "M1": (THEN, True),
            "M2": (THEN, False),
            "M3": (THEN, False),
        }


def test_an_unknown_id_still_gets_the_neutral_reply(say: Say) -> None:
    assert say(STRANGER, f"رمز {UNKNOWN_ID}") is Event.ASKED_IN_VAIN


# The schema


def test_it_is_what_the_tables_say_with_every_index(upgraded: Store) -> None:
    assert migrate.is_current(upgraded)
    with upgraded.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
        there = {(name, it["name"]) for name in METADATA.tables for it in inspect(connection).get_indexes(name)}
    # SQLAlchemy can't read an index over an expression in SQLite.
    wanted = {(name, it.name) for name, of in METADATA.tables.items() for it in of.indexes}
    assert {pair for pair in wanted - there if not str(pair[1]).endswith("_end")} == set()
