"""Texts of pilgrims, staff, forgers and strangers in any order: what never happens, whatever they do.

A forger texts from any number, and reads nobody's phone: of codes they know none. Everybody else reads their own.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select

from bot.build import Bot, build
from bot.inbound import staff_context
from bot.ports import Inbound
from dialogs.audit_vocabulary import Action
from dialogs.staff_vocabulary import Command
from store import accounts
from store import staff as members
from store.audit import AUDIT
from store.database.engine import Store
from store.tables import AccountRow, CodeRow, MobileChangeRow, OutboundMessageRow, StaffOrderRow, table
from tests.support import parts
from tests.support.databases import Emptied
from tests.support.parts import Carrier, LoadedRandomSource, StoppedClock
from tests.support.people import EVERYBODY, LOCKED, OMID, PHONES, STAFF, ZAHRA, employ, settle

ACCOUNT, CODE, ORDER = table(AccountRow), table(CodeRow), table(StaffOrderRow)
CHANGE, MESSAGE = table(MobileChangeRow), table(OutboundMessageRow)
HELD = select(CHANGE.c.account_id).where(CHANGE.c.state == "held", CHANGE.c.ended_at.is_(None))
CODES = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)
IDS = [person["national_id"] for person in EVERYBODY] + ["9401758263"]
NEW_MOBILES = [PHONES["newphone"], PHONES["stranger"]]

pilgrims = st.sampled_from([person["mobile"] for person in EVERYBODY] + NEW_MOBILES)
clerks = st.sampled_from([person["mobile"] for person in STAFF])
# Most of what happens is about one account, so that things meet.
ids = st.one_of(st.just(ZAHRA["national_id"]), st.sampled_from(IDS))
words = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["رمز", "RESET", "STATUS", "UNLOCK", "تغییر"]), ids),
    st.builds("MOBILE {} {}".format, ids, st.sampled_from(NEW_MOBILES)),
    st.sampled_from(["لغو", "HELP", "STOP", "START", "STATS", "نه", "سلام"]),
)
guesses = st.sampled_from(["000000", "999999"])
honest = st.one_of(words, guesses, *[st.sampled_from(["{code}", "{older}"])] * 3)
steps = st.one_of(
    st.tuples(st.just("honest"), pilgrims, honest),
    *[st.tuples(st.just("honest"), clerks, st.one_of(words, st.just("{code}"), st.just("{code}")))] * 2,
    st.tuples(st.just("forged"), st.one_of(pilgrims, clerks), st.one_of(words, guesses)),
    st.tuples(st.just("time"), st.sampled_from([30, 301, 1200, 3600, 86_400]), st.just("")),
)
# How the audit says that an order is carried out.
OUTCOMES = {"confirmed"}
Step = tuple[str, Any, str]


def named(person: dict[str, Any]) -> str:
    national_id: str = person["national_id"]
    return national_id


def confirmed(clerk: str, words: str) -> list[Step]:
    return [("honest", clerk, words), ("honest", clerk, "{code}")]


def moved(first: str, second: str, mobile: str, seconds: int) -> list[Step]:
    words = f"MOBILE {ZAHRA['national_id']} {mobile}"
    return [*confirmed(first, words), *confirmed(second, words), ("time", seconds, "")]


def recovered(person: dict[str, Any]) -> list[Step]:
    return confirmed(person["mobile"], f"رمز {person['national_id']}")


# What is a long way for chance alone, all at once; whatever else happens comes before, after and between.
orders = st.builds("{} {}".format, st.sampled_from(["RESET", "UNLOCK"]), st.sampled_from([ZAHRA, LOCKED]).map(named))
acts = st.one_of(
    steps.map(lambda step: [step]),
    steps.map(lambda step: [step]),
    st.builds(recovered, st.sampled_from([ZAHRA, OMID])),
    st.builds(confirmed, clerks, orders),
    st.builds(moved, clerks, clerks, st.sampled_from(NEW_MOBILES), st.sampled_from([60, 86_400])),
)


# Once in any case, with forgers between.
EVERYTHING: list[list[Step]] = [
    confirmed(PHONES["tehran"], f"RESET {named(ZAHRA)}"),
    [("forged", PHONES["tehran"], "000000"), ("honest", PHONES["zahra"], "{code}")],
    recovered(OMID),
    confirmed(PHONES["chief"], f"UNLOCK {named(LOCKED)}"),
    [("forged", PHONES["colleague"], f"MOBILE {named(ZAHRA)} {PHONES['stranger']}")],
    moved(PHONES["tehran"], PHONES["chief"], PHONES["newphone"], 86_400),
    confirmed(PHONES["newphone"], f"رمز {named(ZAHRA)}"),
]


@dataclass
class Town:
    """A bot, the phones of everybody, and what must hold of both after every step."""

    bot: Bot
    carrier: Carrier
    clock: StoppedClock
    read: dict[str, list[str]] = field(default_factory=dict)  # codes that reached a phone
    confirmed: set[str] = field(default_factory=set)  # codes that staff texted back from their own phones
    reached: set[str] = field(default_factory=set)
    changed: Counter[Action] = field(default_factory=Counter)  # what came of it all, as it was seen from outside
    told: int = 0
    texts: int = 0

    def take(self, step: Step) -> None:
        """One step, and everything is looked at."""
        kind, who, what = step
        before = self.accounts()
        words = self.filled(who, what) if kind == "honest" else what
        at = self.clock()
        if kind == "time":
            self.clock.forward(seconds=who)
            for job in self.bot.jobs.all():
                if job.name != "measures":  # it only counts
                    job.run()
        else:
            self.texts += 1
            self.bot.hear(Inbound("simulated", f"M{self.texts}", who, words))
        if kind == "honest" and CODES.fullmatch(words):
            self.confirmed.add(words)
        self.bot.courier.deliver_due()
        self.look(before, who if kind == "honest" else None, words, at)

    def filled(self, who: str, what: str) -> str:
        mine = ["000000", "000000", *self.read.get(who, [])]
        return what.replace("{code}", mine[-1]).replace("{older}", mine[-2])

    def accounts(self) -> dict[int, Row[Any]]:
        with self.bot.store.reading() as connection:
            return {row.id: row for row in connection.execute(select(ACCOUNT))}

    def look(self, before: dict[int, Row[Any]], who: str | None, words: str, at: datetime) -> None:
        after = self.accounts()
        for text in self.carrier.sent[self.told :]:
            self.read.setdefault(text.to, []).extend(CODES.findall(text.text))
        self.codes_go_to_the_registered_mobile(before)
        for account_id, now in after.items():
            was = before[account_id]
            if now.password_hash != was.password_hash:
                self.reached.add("a password")
                self.changed[Action.PASSWORD_SET] += 1
                assert who == was.mobile, "a password set from another phone"
                assert words in self.read[was.mobile], "a password without a code that went to its phone"
            if now.mobile != was.mobile:
                self.reached.add("a mobile")
                self.changed[Action.MOBILE_CHANGED] += 1
                self.was_changed_by_two(was.mobile, now)
        self.orders_were_in_scope()
        self.told = len(self.carrier.sent)

    def codes_go_to_the_registered_mobile(self, before: dict[int, Row[Any]]) -> None:
        refs = [text.ref for text in self.carrier.sent[self.told :]]
        with self.bot.store.reading() as connection:
            found = select(MESSAGE.c.account_id, MESSAGE.c.phone, MESSAGE.c.phrase).where(MESSAGE.c.id.in_(refs))
            rows = connection.execute(found).all()
            held = set(connection.execute(HELD).scalars())
        for row in rows:
            if row.phrase in {"code", "code_for_fakher", "new_password"}:
                account = before[row.account_id]
                assert (account.mobile, account.active) == (row.phone, True), "a code for a phone that isn't registered"
                assert account.locked_at is None or row.phrase == "new_password"
                assert row.account_id not in held
            elif row.phrase.startswith("code_to_"):
                assert row.phone in {person["mobile"] for person in STAFF}
                assert row.account_id is None

    def orders_were_in_scope(self) -> None:
        with self.bot.store.reading() as connection:
            by_staff = select(CODE.c.id).where(CODE.c.requested_by == "staff", CODE.c.account_id.is_not(None))
            sent = set(connection.execute(by_staff).scalars())
            done = connection.execute(select(ORDER).where(ORDER.c.done_at.is_not(None))).all()
            for row in done:
                member, account = members.find(connection, row.staff_id), accounts.get(connection, row.account_id)
                assert staff_context.is_in_scope(member, account)
                assert account.mobile != member.mobile
        self.reached |= {row.command for row in done}
        assert len(done) <= len(self.confirmed), "an order was carried out without its code"
        assert sent == {row.sent_code_id for row in done} - {None}

    def was_changed_by_two(self, old: str, now: Row[Any]) -> None:
        with self.bot.store.reading() as connection:
            made = select(CHANGE).where(CHANGE.c.account_id == now.id, CHANGE.c.new_mobile == now.mobile)
            change = connection.execute(made.order_by(CHANGE.c.id.desc()).limit(1)).one()
            warnings = select(MESSAGE.c.phone).where(MESSAGE.c.phrase == "mobile_changing")
            warned = connection.execute(warnings).scalars().all()
        assert change.old_mobile == old
        assert change.approved_by not in {None, change.proposed_by}
        assert self.clock() - change.approved_at >= timedelta(hours=24)
        assert old in warned or self.is_silent(old)

    def audit_tells_of_it_all(self) -> None:
        """A row for every effect, and no row that anybody could have put there."""
        with self.bot.store.reading() as connection:
            sent = select(MESSAGE.c.id).where(MESSAGE.c.phrase.in_(["code", "code_for_fakher"]))
            self.changed[Action.CODE_SENT] = len(connection.execute(sent).all())
            rows = connection.execute(select(AUDIT)).all()
            used = connection.execute(select(ORDER.c.ref).where(ORDER.c.done_at.is_not(None))).scalars()
            carried_out = {row.ref for row in rows if row.actor == "staff" and row.reason in OUTCOMES}
            assert set(used) == carried_out
        for action, number in self.changed.items():
            assert sum(row.action == action for row in rows) == number, action
        proof = self.bot.audit_chain.prove()
        assert (proof.faults, proof.rows) == ([], len(rows))

    def is_silent(self, mobile: str) -> bool:
        return any((mobile == text.to and "12" in text.text) or "۱۲" in text.text for text in self.carrier.sent)


def town(store: Store) -> Town:
    carrier, clock = Carrier(), StoppedClock()
    chosen = parts.settings(RESEND_AFTER_SECONDS="0", CODES_PER_HOUR="1000", CODES_PER_DAY="1000")
    settle(store)
    employ(store)
    bot = build(
        chosen, clock=clock, random_source=LoadedRandomSource(), gateways=[carrier], store=store, cost=parts.CHEAP
    )
    return Town(bot, carrier, clock)


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 60), ("postgresql", 25)])
@pytest.mark.slow
def test_codes_passwords_and_mobiles_stay_with_their_owners(
    kind: str, examples: int, request: pytest.FixtureRequest
) -> None:
    emptied: Emptied = request.getfixturevalue(f"emptied_{kind}")
    reached: set[str] = set()

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
    )
    @given(st.lists(acts, min_size=4, max_size=16))
    @example(EVERYTHING)
    def run(all_acts: list[list[Step]]) -> None:
        here = town(emptied())
        for act in all_acts:
            for step in act:
                here.take(step)
        here.audit_tells_of_it_all()
        reached.update(here.reached)

    run()
    assert reached == {"a password", "a mobile", *Command}, "not everything was tried"
