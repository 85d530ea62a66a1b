"""In a rush no text reads through a table, though the planner has not been told yet how much is in it.

PostgreSQL plans by what it last counted, a minute ago or never: what thousands of people have written since, it takes
for a handful of rows, and an index of all of them for a short list. SQLite counts nothing.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import Connection, select, text

from bot.build import Bot, build
from bot.fakher.service import Caller
from bot.ports import Inbound, Receipt
from bot.sending.messages import message
from dialogs.vocabulary import CodePurpose
from store import accounts, codes, conversations, inbound_messages, outbound_messages
from store.codes import NewCode
from store.conversations import ConversationValues
from store.database.engine import Store
from store.tables import AccountRow, DeliveryStatus, MessageKind, RequestedBy, table
from tests.support.parts import CHEAP, NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import CHIEF, OMID, STRANGER, ZAHRA, employ, settled

pytestmark = pytest.mark.slow

ACCOUNT = table(AccountRow)
MANY = 2_000
# More rows than one text has any business with, in each table.
FEW = 100
LATER = NOON + timedelta(minutes=5)
READ = """
SELECT relname, greatest(seq_tup_read + coalesce(idx_tup_fetch, 0),
    (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS i WHERE i.relid = t.relid))
FROM pg_stat_user_tables AS t
"""
NUMBERS = count()


@pytest.fixture
def bot(postgresql_url: str) -> Iterator[Bot]:
    """A bot that thousands have texted of late; none of its answers has left yet."""
    store = Store(postgresql_url, pool_size=1)
    made = build(
        settings(),
        clock=StoppedClock(),
        random_source=LoadedRandomSource(),
        gateways=[Carrier()],
        store=store,
        cost=CHEAP,
    )
    fill(store)
    yield settled(made)
    store.close()


def fill(store: Store) -> None:
    crowd = [{"national_id": f"crowd{n}", "username": f"crowd{n}", "mobile": f"+98910{n:07d}"} for n in range(MANY)]
    with store.writing() as connection:
        accounts.put(connection, crowd, NOON)
        found = connection.execute(select(ACCOUNT.c.id, ACCOUNT.c.mobile)).all()
        for account_id, phone in found:
            values = ConversationValues(state="awaiting_code", last_text_at=NOON, window_started_at=NOON, ends_at=LATER)
            conversations.move(connection, phone, None, values)
            codes.issue(connection, a_code(account_id, phone))
            inbound_messages.remember(connection, "simulated", f"C{account_id}", "asked", NOON, answered=True)
        texts = [
            message(
                "code",
                MessageKind.CODE,
                to=phone,
                language="fa",
                now=NOON,
                expires_at=LATER,
                code_id=f"c{number}",
                account_id=number,
            )
            for number, phone in found
        ]
        outbound_messages.queue(connection, texts, NOON, None)
    employ(store, CHIEF)


def a_code(account_id: int, phone: str) -> NewCode:
    return NewCode(
        id=f"c{account_id}",
        purpose=CodePurpose.RECOVERY,
        account_id=account_id,
        staff_id=None,
        phone=phone,
        requested_by=RequestedBy.OWNER,
        key_id="k1",
        digest=bytes(32),
        tries_left=3,
        created_at=NOON,
        expires_at=LATER,
    )


def read(connection: Connection) -> dict[str, int]:
    """How many rows were read of each table, by itself and by its indexes."""
    connection.execute(text("SELECT pg_stat_force_next_flush()"))
    return {name: int(rows or 0) for name, rows in connection.execute(text(READ))}


def hear(bot: Bot, phone: str, words: str) -> None:
    bot.hear(Inbound("simulated", f"M{next(NUMBERS)}", phone, words))


def last_code(bot: Bot) -> str:
    """The newest code."""
    return str(next(bot.parts.random_source.codes) - 1)  # type: ignore[attr-defined]


def recover(bot: Bot) -> None:
    hear(bot, ZAHRA["mobile"], "رمز 0012345679")
    hear(bot, ZAHRA["mobile"], last_code(bot))


def give_up(bot: Bot) -> None:
    hear(bot, ZAHRA["mobile"], "رمز 0012345679")
    hear(bot, ZAHRA["mobile"], "لغو")


def guess(bot: Bot) -> None:
    hear(bot, OMID["mobile"], "رمز 8052916372")
    hear(bot, OMID["mobile"], "999999")


def order(bot: Bot) -> None:
    hear(bot, CHIEF["mobile"], "RESET 0012345679")
    hear(bot, CHIEF["mobile"], last_code(bot))


def hand_over(bot: Bot) -> None:
    hear(bot, ZAHRA["mobile"], "رمز 0012345679")
    bot.fakher.verify_code(Caller("token", "fakher"), ZAHRA["national_id"], last_code(bot))


WAYS: dict[str, Callable[[Bot], object]] = {
    "a code is asked for": lambda bot: hear(bot, ZAHRA["mobile"], "رمز 0012345679"),
    "from another phone": lambda bot: hear(bot, STRANGER, "رمز 0012345679"),
    "and comes back": recover,
    "a wrong one does": guess,
    "it is cancelled": give_up,
    "help": lambda bot: hear(bot, STRANGER, "راهنما"),
    "STOP": lambda bot: hear(bot, STRANGER, "STOP"),
    "staff order": order,
    "staff ask how it stands": lambda bot: hear(bot, CHIEF["mobile"], "STATUS 0012345679"),
    "Fakher verifies a code": hand_over,
    "a receipt": lambda bot: bot.note(Receipt("simulated", "none", DeliveryStatus.DELIVERED)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_text_reads_through_a_table(bot: Bot, way: Callable[[Bot], object]) -> None:
    assert {name: rows for name, rows in read_by(bot, lambda: way(bot)).items() if rows > FEW} == {}


def test_what_expires_is_looked_for_once_and_its_texts_are_found(bot: Bot) -> None:
    def sweep() -> None:
        with bot.store.writing() as connection:
            assert codes.close_expired(connection, LATER, most=MANY // 2) == MANY // 2

    found = read_by(bot, sweep)
    assert found["code"] < 5 * MANY
    assert found["outbound_message"] < 5 * MANY


def read_by(bot: Bot, doing: Callable[[], object]) -> dict[str, int]:
    """How many rows of each table something reads."""
    with bot.store.reading() as connection:
        before = read(connection)
    doing()
    with bot.store.reading() as connection:
        return {name: rows - before[name] for name, rows in read(connection).items()}
