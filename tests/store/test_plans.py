"""In a rush no text reads through a table, though the planner has not been told yet how much is in it.

PostgreSQL keeps the plan of a statement that it has seen often: one that was made while little was open reads through a
partial index of what is open, for it is short, and goes on doing so when thousands have come.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count, islice
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from bot.build import Bot
from bot.fakher.service import Caller
from bot.ports import Inbound, Receipt
from bot.sending.messages import message
from dialogs.parsing.normalise import national_id
from dialogs.vocabulary import CodePurpose
from store import accounts, codes, conversations, inbound_messages, outbound_messages
from store.codes import NewCode
from store.conversations import ConversationValues
from store.database.engine import Store
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    RequestedBy,
    table,
)
from tests.bot.cli.test_commands import typed
from tests.support.parts import NOON, StoppedClock
from tests.support.people import CHIEF, OMID, STRANGER, ZAHRA, bot_on, employ, settled

pytestmark = pytest.mark.slow

ACCOUNT, CODE, MESSAGE = table(AccountRow), table(CodeRow), table(OutboundMessageRow)
MANY = 2_000
# More rows than one text has any business with, in each table.
FEW = 200
LATER = NOON + timedelta(minutes=5)
AT_REST = ConversationValues(state="idle", last_text_at=NOON, window_started_at=NOON)
READ = """
SELECT relname, greatest(seq_tup_read + coalesce(idx_tup_fetch, 0),
    (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS i WHERE i.relid = t.relid))
FROM pg_stat_user_tables AS t
"""
# Five times a statement is planned for its values, then for good; and psycopg prepares what comes a sixth time.
OFTEN = 12
NUMBERS = count()


@pytest.fixture
def bot(postgresql_url: str, clock: StoppedClock) -> Iterator[Bot]:
    """A bot whose statements all go over one connection, so that their plans are kept."""
    store = Store(postgresql_url, pool_size=1)
    made = bot_on(store, clock, CODES_PER_HOUR="60", CODES_PER_DAY="60")
    employ(store, CHIEF)
    crowd = [{"national_id": f"crowd{n}", "username": f"crowd{n}", "mobile": f"+98910{n:07d}"} for n in range(MANY)]
    with store.writing() as connection:
        accounts.put(connection, crowd, NOON)
        for person in crowd:
            conversations.move(connection, person["mobile"], None, AT_REST)
    rush(store, "a")
    with store.writing() as connection:  # a season ago
        connection.execute(update(CODE).values(closed_at=NOON, close_reason=CloseReason.USED))
        connection.execute(update(MESSAGE).values(status=int(DeliveryStatus.DELIVERED)))
    with store.reading() as connection:
        connection.execute(text("VACUUM ANALYZE"))
    yield settled(made)
    store.close()


def rush(store: Store, name: str) -> None:
    """Thousands have texted just now; none of the answers has left yet."""
    with store.writing() as connection:
        theirs = select(ACCOUNT.c.id, ACCOUNT.c.mobile).where(ACCOUNT.c.username.startswith("crowd"))
        found = connection.execute(theirs).all()
        for account_id, phone in found:
            codes.issue(connection, a_code(f"{name}{account_id}", account_id, phone))
            inbound_messages.remember(connection, "simulated", f"{name}{account_id}", "asked", NOON, answered=True)
        texts = [
            message(
                "code",
                MessageKind.CODE,
                to=phone,
                language="fa",
                now=NOON,
                expires_at=LATER,
                code_id=f"{name}{number}",
                account_id=number,
            )
            for number, phone in found
        ]
        outbound_messages.queue(connection, texts, NOON, None)


def a_code(code_id: str, account_id: int, phone: str) -> NewCode:
    return NewCode(
        id=code_id,
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
    "staff ask how it stands": lambda bot: hear(bot, CHIEF["mobile"], "STATUS 0012345679"),
    "Fakher verifies a code": hand_over,
    "a receipt": lambda bot: bot.note(Receipt("simulated", "none", DeliveryStatus.DELIVERED)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_text_reads_through_a_table(bot: Bot, clock: StoppedClock, way: Callable[[Bot], object]) -> None:
    for _ in range(OFTEN):
        way(bot)
        clock.forward(minutes=2)
    rush(bot.store, "b")
    assert {name: rows for name, rows in read_by(bot, lambda: way(bot)).items() if rows > FEW} == {}


def test_an_order_of_staff_reads_what_is_open_a_few_times_at_most(bot: Bot, clock: StoppedClock) -> None:
    """Staff are few, and all that a member was ever sent is no shorter list."""
    for _ in range(OFTEN):
        order(bot)
        clock.forward(minutes=10)
    rush(bot.store, "b")
    found = read_by(bot, lambda: order(bot))
    assert found.pop("code") < 6 * MANY
    assert {name: rows for name, rows in found.items() if rows > FEW} == {}


def test_what_expires_is_looked_for_once_and_its_texts_are_found(bot: Bot) -> None:
    rush(bot.store, "b")

    def sweep() -> None:
        with bot.store.writing() as connection:
            assert codes.close_expired(connection, LATER, most=MANY // 2) == MANY // 2

    found = read_by(bot, sweep)
    assert found["code"] < 5 * MANY
    assert found["outbound_message"] < 5 * MANY


def test_whoever_fills_a_database_has_it_counted(postgresql_url: str, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    numbers = (it for n in range(1_000) if (it := national_id(f"{100_000_000 + n}{n % 10}")))
    rows = [f"{number},p{n},0912000{n:04}" for n, number in enumerate(islice(numbers, 40))]
    people.write_text("\n".join(["national_id,username,mobile", *rows]), "utf-8")
    assert typed("accounts", "import", str(people), DATABASE_URL=postgresql_url).exit_code == 0
    with closing(Store(postgresql_url)) as store, store.reading() as connection:
        found = text("SELECT relname, reltuples FROM pg_class WHERE relname IN ('account', 'code')")
        # One that holds nothing is taken for larger before it was counted than after it.
        assert dict(map(tuple, connection.execute(found))) == {"account": len(rows), "code": -1}


def read_by(bot: Bot, doing: Callable[[], object]) -> dict[str, int]:
    """How many rows of each table something reads."""
    with bot.store.reading() as connection:
        before = read(connection)
    doing()
    with bot.store.reading() as connection:
        return {name: rows - before[name] for name, rows in read(connection).items()}
