"""Two at once about one account: each as far as its commit, while the other begins."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event, current_thread
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from bot.accounts import mobile_change, staff_removal
from bot.accounts.csv_mobiles import MobileChanges, Move
from bot.build import Bot, build
from bot.ports import Inbound
from dialogs.staff_vocabulary import StaffEvent
from store import accounts, staff
from store.database.engine import Store
from store.staff import NewMember
from store.tables import AccountRow, AuditRow, CodeRow, MobileChangeRow, OutboundMessageRow, StaffRow, table
from tests.support.parts import CHEAP, Carrier, LoadedRandomSource, StoppedClock, eventually, settings
from tests.support.people import CHIEF, COLLEAGUE, PHONES, TEHRAN, ZAHRA, employ, settle
from tests.support.transcript import Player

pytestmark = pytest.mark.slow

ACCOUNT, AUDIT, STAFF = table(AccountRow), table(AuditRow), table(StaffRow)
CHANGE, CODE, MESSAGE = table(MobileChangeRow), table(CodeRow), table(OutboundMessageRow)
SOON = 20  # seconds, for a machine that is busy
ON_LIST = "+989179990000"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

PROPOSED = """
tehran> MOBILE 0012345679 09171112233
< code_to_propose_mobile
> {code}
< staff_mobile_proposed
colleague> MOBILE 0012345679 09171112233
< code_to_approve_mobile
chief> MOBILE 0012345679 09171112233
< code_to_approve_mobile
"""
HELD = """
tehran> MOBILE 0012345679 09171112233
< code_to_propose_mobile
> {code}
< staff_mobile_proposed
colleague> MOBILE 0012345679 09171112233
< code_to_approve_mobile
> {code}
< staff_mobile_approved
zahra< mobile_changing
"""
RESETS = """
chief> RESET 0012345679
< code_to_reset
colleague> RESET 0012345679
< code_to_reset
"""


class Held(Store):
    """A store that holds one thread's transaction, all of it done, just before its commit."""

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=10)
        self.of: Any = None
        self.is_done, self.may_commit = Event(), Event()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            yield connection
            if current_thread() is self.of:
                self.is_done.set()
                self.may_commit.wait(SOON)

    def waits(self) -> bool:
        """Whether a transaction waits for a lock. On SQLite nobody else can tell."""
        if self.is_sqlite:
            return False
        with self.reading() as connection:
            return bool(connection.execute(text(WAITING)).scalar_one())


class Meeting:
    """A bot, its people, and two who do something at once."""

    def __init__(self, store: Held) -> None:
        self.store, self.clock, self.carrier = store, StoppedClock(), Carrier()
        self.bot: Bot = build(
            settings(),
            clock=self.clock,
            random_source=LoadedRandomSource(),
            gateways=[self.carrier],
            store=store,
            cost=CHEAP,
        )
        settle(store)
        employ(store)
        self.player = Player(self.bot, self.carrier, self.clock)

    def at_once(self, first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
        """What both give: the first is done but for its commit when the second begins, and waits for it where it may.

        Where the second needs nothing that the first has, it is done before.
        """
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(self._as_the_first, first)
            assert self.store.is_done.wait(SOON) or one.result()
            other = pool.submit(second)
            assert eventually(lambda: other.done() or self.store.waits() or self._is_serial(other), SOON)
            self.store.may_commit.set()
            return one.result(SOON), other.result(SOON)

    def _as_the_first(self, work: Callable[[], Any]) -> Any:
        self.store.of = current_thread()
        return work()

    def _is_serial(self, other: "Future[Any]") -> bool:
        # On SQLite it has read what it reads before the lock, in less than that, and waits for the lock.
        if self.store.is_sqlite:
            time.sleep(0.05)
        return self.store.is_sqlite and not other.done()

    def says(self, who: str, words: str) -> Callable[[], Any]:
        code = (self.player.codes.get(who) or [""])[-1]
        name = f"N{next(self.player.numbers)}"
        return lambda: self.bot.hear(Inbound("simulated", name, PHONES[who], words.format(code=code)))

    def removes(self, mobile: str) -> Callable[[], Any]:
        def remove() -> Any:
            with self.store.writing() as connection:
                entries = staff_removal.remove(connection, mobile, self.clock())
                self.bot.parts.trail.note(connection, self.clock(), *(entries or []))
            return entries

        return remove

    def imports(self) -> int:
        changes = MobileChanges(self.bot.parts.trail, "fa")
        with self.store.writing() as connection:
            there = accounts.find(connection, national_id=ZAHRA["national_id"])
            assert there
            moves = [Move(there.id, there.mobile, ON_LIST, "fa")]
            changes.end_former(connection, moves, self.clock())
            return changes.carry_out(connection, moves, self.clock())

    def ends_overdue(self) -> int:
        return mobile_change.end_overdue(self.bot.parts)

    def rows(self, statement: Any) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(statement).all())

    def ended(self) -> list[tuple[str, str | None]]:
        return [tuple(row) for row in self.rows(select(CHANGE.c.state, CHANGE.c.close_reason))]

    def mobile(self) -> str:
        (found,) = self.rows(select(ACCOUNT.c.mobile).where(ACCOUNT.c.national_id == ZAHRA["national_id"]))
        return str(found.mobile)

    def audited(self, action: str) -> int:
        return len(self.rows(select(AUDIT.c.id).where(AUDIT.c.action == action)))


@pytest.fixture
def meeting(database_url: str) -> Iterator[Meeting]:
    with closing(Held(database_url)) as store:
        yield Meeting(store)
        store.may_commit.set()


@pytest.mark.parametrize("is_removed_first", [True, False])
def test_a_change_that_is_approved_while_its_proposer_is_removed_ends(meeting: Meeting, is_removed_first: bool) -> None:
    meeting.player.play(PROPOSED)
    both = [meeting.removes(TEHRAN["mobile"]), meeting.says("colleague", "{code}")]
    meeting.at_once(*(both if is_removed_first else reversed(both)))
    ((_, reason),) = meeting.ended()
    assert reason == "withdrawn"
    assert meeting.audited("mobile_change_stopped") == 1
    meeting.clock.forward(hours=25)
    assert meeting.ends_overdue() == 0
    assert meeting.mobile() == ZAHRA["mobile"]


@pytest.mark.parametrize("is_imported_first", [True, False])
def test_a_change_that_is_approved_while_an_import_brings_another_mobile_ends(
    meeting: Meeting, is_imported_first: bool
) -> None:
    meeting.player.play(PROPOSED)
    both = [meeting.imports, meeting.says("chief", "{code}")]
    meeting.at_once(*(both if is_imported_first else reversed(both)))
    ((_, reason),) = meeting.ended()
    assert (reason, meeting.mobile()) == ("overtaken", ON_LIST)


def test_two_who_approve_at_once_approve_it_once(meeting: Meeting) -> None:
    meeting.player.play(PROPOSED)
    given = meeting.at_once(meeting.says("colleague", "{code}"), meeting.says("chief", "{code}"))
    assert given == (StaffEvent.CONFIRMED, StaffEvent.CONFIRMED_WITHOUT_PROPOSAL)
    warned = meeting.rows(select(MESSAGE.c.id).where(MESSAGE.c.phrase == "mobile_changing"))
    assert (meeting.ended(), len(warned)) == ([("held", None)], 1)


def test_a_mobile_is_changed_once_by_two_who_find_it_due(meeting: Meeting) -> None:
    meeting.player.play(HELD)
    meeting.clock.forward(hours=25)
    assert meeting.at_once(meeting.ends_overdue, meeting.ends_overdue) == (2, 0)
    assert (meeting.audited("mobile_changed"), meeting.mobile()) == (1, PHONES["newphone"])


@pytest.mark.parametrize("is_stopped_first", [True, False])
def test_an_old_mobile_that_says_no_at_the_last_moment_is_heard_or_it_is_too_late(
    meeting: Meeting, is_stopped_first: bool
) -> None:
    meeting.player.play(HELD)
    meeting.clock.forward(hours=23, minutes=59)
    objects = meeting.says("zahra", "CANCEL")

    def ends() -> int:
        meeting.clock.forward(minutes=2)
        return meeting.ends_overdue()

    meeting.at_once(*((objects, ends) if is_stopped_first else (ends, objects)))
    ((_, reason),) = meeting.ended()
    assert (reason, meeting.mobile()) in [("objected", ZAHRA["mobile"]), ("timed_out", PHONES["newphone"])]
    assert meeting.audited("mobile_changed") + meeting.audited("mobile_change_stopped") == 1


def test_two_resets_confirmed_at_once_leave_one_code(meeting: Meeting) -> None:
    meeting.player.play(RESETS)
    given = meeting.at_once(meeting.says("chief", "{code}"), meeting.says("colleague", "{code}"))
    assert set(given) == {StaffEvent.CONFIRMED}
    live = select(CODE.c.id).where(CODE.c.account_id.is_not(None), CODE.c.closed_at.is_(None))
    assert len(meeting.rows(live)) == 1


@pytest.mark.parametrize("is_removed_first", [True, False])
def test_an_order_that_is_given_while_its_giver_is_removed_is_never_confirmed(
    meeting: Meeting, is_removed_first: bool
) -> None:
    both = [meeting.removes(CHIEF["mobile"]), meeting.says("chief", f"RESET {ZAHRA['national_id']}")]
    meeting.at_once(*(both if is_removed_first else reversed(both)))
    with meeting.store.writing() as connection:
        staff_removal.put(connection, NewMember(**CHIEF), meeting.clock())
    for digits in ("100001", "100002", "100003"):
        assert meeting.says("chief", digits)() is not StaffEvent.CONFIRMED


def test_who_waits_for_each_other_is_heard_all_the_same(postgresql_url: str) -> None:
    """A confirmation has its code and wants its member; a change of the member has them and wants the code."""
    with closing(Held(postgresql_url)) as store, ThreadPoolExecutor(2) as pool:
        meeting = Meeting(store)
        meeting.player.play("colleague> RESET 0012345679\n< code_to_reset\n> {wrong}\n< wrong_code")
        member = STAFF.c.mobile == COLLEAGUE["mobile"]
        with store.writing() as connection:
            connection.execute(update(STAFF).where(member).values(name="N"))
            confirming = pool.submit(meeting.says("colleague", "{code}"))
            assert eventually(store.waits, SOON)
            found = staff.at(connection, COLLEAGUE["mobile"])
            assert found
            connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))  # the other one notices
            mine = CODE.c.staff_id == found.id
            connection.execute(
                update(CODE).where(mine, CODE.c.closed_at.is_(None)).values(tries_left=CODE.c.tries_left)
            )
        assert confirming.result(SOON) is StaffEvent.CONFIRMED
