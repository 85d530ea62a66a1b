"""Whatever is texted, forged or not, and in whatever order: what a phone sees, is told and hears of in any case.

An ID that somebody has, and one that nobody has, look alike from every phone but the registered one; what was done is
said; and a password that became another is told to both mobiles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot.build import Bot, build
from bot.ports import Inbound
from store import accounts
from store.database.engine import Store
from store.tables import AccountRow, CodeRow, ConversationRow, OutboundMessageRow, table
from tests.support import parts
from tests.support.databases import Emptied
from tests.support.parts import NOON, Carrier, LoadedRandomSource, StoppedClock
from tests.support.people import EVERYBODY, PHONES, UNKNOWN_ID, ZAHRA, settle

ACCOUNT, CODE, CONVERSATION = table(AccountRow), table(CodeRow), table(ConversationRow)
MESSAGE = table(OutboundMessageRow)
ID, OTHER_ID = ZAHRA["national_id"], EVERYBODY[1]["national_id"]
FORMER = PHONES["newphone"]
OWN = "Saffron-1447-kettle"
HOUR = timedelta(hours=1)
TELLING = {"new_password", "password_changed"}

strangers = st.sampled_from(["stranger", "stranger", "clerk", "omid", "fatima", "retired"])
requests = st.builds(
    "{} {}".format,
    st.sampled_from(["رمز", "RESET", "تغییر", "", "CHANGE", "وضعیت", "رفع"]),
    st.sampled_from([ID, ID, ID, UNKNOWN_ID, OTHER_ID, "1111111111", "۰۰۱۲۳۴۵۶۷۹", "001-234567-9"]),
)
commands = st.sampled_from(
    ["لغو", "لغو11", "STOP", "STOP", "START", "12", "HELP", "?", "رمز", "تغییر", "سلام", "نه", ""]
)
guesses = st.sampled_from(["000000", "۹۹۹۹۹۹", f"000000 {OWN}", f"{ID} 000000"])
codes = st.sampled_from(
    ["{code}", "{code}", f"{{code}} {OWN}", "{spaced}", "{persian}", "{code} short", "{code} ممنون"]
)
spans = st.sampled_from([1, 59, 61, 301, 601, 1800, 3599, 3601])
Step = tuple[str, Any]
ASKED: list[Step] = [("zahra", f"رمز {ID}"), ("deliver", "")]


def joined(several: list[list[Step]]) -> list[Step]:
    return [step for each in several for step in each]


def walks(who: st.SearchStrategy[str], words: st.SearchStrategy[str]) -> st.SearchStrategy[list[Step]]:
    """Texts from phones, some many times over, and time between."""
    text = st.tuples(who, words).map(lambda step: [step])
    again = st.tuples(st.tuples(who, words), st.integers(2, 12)).map(lambda it: [it[0]] * it[1])
    time = st.tuples(st.just("time"), spans).map(lambda step: [step])
    return st.lists(st.one_of(text, text, text, again, time), max_size=14).map(joined)


@dataclass
class Street:
    """A bot, and all that each phone was sent."""

    bot: Bot
    carrier: Carrier
    clock: StoppedClock
    texts: int = 0
    received: list[tuple[datetime, str, str]] = field(default_factory=list)  # when, to whom, which phrase

    def hear(self, who: str, words: str) -> list[tuple[str, str, str]]:
        """One text, and all that is sent after it: to whom, in which language, what."""
        self.texts += 1
        self.bot.hear(Inbound("simulated", f"F{self.texts}", PHONES[who], words))
        return self.deliver()

    def deliver(self) -> list[tuple[str, str, str]]:
        before = len(self.carrier.sent)
        self.bot.courier.deliver_due()
        sent = [(text.to, text.language, text.phrase) for text in self.carrier.sent[before:]]
        self.received += [(self.clock(), to, phrase) for to, _, phrase in sent]
        return sent

    def rows(self, of: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(select(of)))

    def opted_out(self) -> set[str]:
        return {row.phone for row in self.rows(CONVERSATION) if row.opted_out_at is not None}

    def open_codes(self) -> dict[str, str]:
        return {row.id: row.phone for row in self.rows(CODE) if row.closed_at is None}


def street(store: Store, *people: dict[str, Any], **changes: str) -> Street:
    carrier, clock = Carrier(), StoppedClock()
    settle(store, *people)
    bot = build(
        parts.settings(RESEND_AFTER_SECONDS="10", CODES_PER_HOUR="1000", CODES_PER_DAY="1000", **changes),
        clock=clock,
        random_source=LoadedRandomSource(),
        gateways=[carrier],
        store=store,
        cost=parts.CHEAP,
    )
    return Street(bot, carrier, clock)


def tried(examples: int, run: Callable[..., None], *given_: st.SearchStrategy[Any]) -> None:
    chosen = settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    test: Callable[[], None] = chosen(given(*given_)(run))
    test()


ON_BOTH = pytest.mark.parametrize(("kind", "examples"), [("sqlite", 40), ("postgresql", 8)])


@ON_BOTH
@pytest.mark.slow
def test_an_id_that_somebody_has_looks_like_one_that_nobody_has(
    kind: str, examples: int, request: pytest.FixtureRequest
) -> None:
    """In how many texts, in what order, language and place among all that is sent; after any texts before."""
    emptied: Emptied = request.getfixturevalue(f"emptied_{kind}")
    others = [person for person in EVERYBODY if person is not ZAHRA]
    as_it_is = [{}, {"language": "ar"}, {"active": False}, {"locked_at": NOON}]
    seen = 0

    def seen_by_strangers(steps: list[Step], people: list[dict[str, Any]], **changes: str) -> list[Any]:
        here, told = street(emptied(), *people, **changes), []
        for who, what in steps:
            if who == "time":
                here.clock.forward(seconds=what)
                continue
            sent = here.hear(who, what)
            # Its place counts too: what stands before it takes a slot of the rate.
            told.append([(place, *each) for place, each in enumerate(sent) if each[0] != ZAHRA["mobile"]])
        return told

    def run(steps: list[Step], account: dict[str, Any], other_phones: str) -> None:
        nonlocal seen
        unknown = seen_by_strangers(steps, others, OTHER_PHONES=other_phones)
        known = seen_by_strangers(steps, [*others, ZAHRA | account], OTHER_PHONES=other_phones)
        assert known == unknown
        seen += len(known)

    # A long way for chance: the last reply of an hour, and what is beyond it.
    asked = [("stranger", f"رمز {UNKNOWN_ID}")] * 9
    run([*asked, ("stranger", f"رمز {ID}"), ("stranger", "STOP"), ("time", 61), ("stranger", f"رمز {ID}")], {}, "on")
    words = st.one_of(requests, requests, commands, guesses)
    tried(examples, run, walks(strangers, words), st.sampled_from(as_it_is), st.sampled_from(["on", "on", "off"]))
    assert seen > examples


@ON_BOTH
@pytest.mark.slow
def test_what_was_done_is_said_and_so_is_that_no_more_is(
    kind: str, examples: int, request: pytest.FixtureRequest
) -> None:
    emptied: Emptied = request.getfixturevalue(f"emptied_{kind}")

    def run(steps: list[Step]) -> None:
        here = street(emptied())
        for who, what in steps:
            if who == "time":
                here.clock.forward(seconds=what)
                continue
            out, live = here.opted_out(), here.open_codes()
            sent = here.hear(who, what)
            phone = PHONES[who]
            mine = [phrase for to, _, phrase in sent if to == phone]
            if phone in here.opted_out() - out:
                assert mine == ["opted_out"]
            if phone in out - here.opted_out():
                assert mine, "opted in without a word"
            if {code for code, to in live.items() if to == phone} - here.open_codes().keys():
                assert mine, "a code was closed without a word"
            if not mine and phone not in out:
                said = {phrase for at, to, phrase in here.received if to == phone and here.clock() - at < HOUR}
                assert "last_reply" in said, "silence that nobody was told of"

    run([*[("zahra", "سلام")] * 3, ("zahra", "STOP"), ("zahra", "رمز")])
    run([*[("stranger", f"{ID} 000000")] * 4, ("stranger", "HELP")])
    everybody = st.sampled_from(["zahra", "zahra", "stranger", "omid", "clerk"])
    tried(examples, run, walks(everybody, st.one_of(requests, commands, commands, guesses)))


@ON_BOTH
@pytest.mark.slow
@pytest.mark.parametrize("own", ["off", "on"])
def test_a_password_that_became_another_is_told_to_both_mobiles(
    kind: str, examples: int, own: str, request: pytest.FixtureRequest
) -> None:
    """Whatever is texted in its number before the notice has left, by whoever knows the code."""
    emptied: Emptied = request.getfixturevalue(f"emptied_{kind}")
    changed = 0

    def run(steps: list[Step]) -> None:
        nonlocal changed
        here, code = street(emptied(), OWN_PASSWORD_BY_SMS=own), "000000"
        passwords: list[str] = []
        with here.bot.store.writing() as connection:
            found = accounts.find(connection, national_id=ID)
            assert found is not None
            accounts.set_mobile(connection, found.id, found.mobile, FORMER, NOON - timedelta(hours=1))
            accounts.set_mobile(connection, found.id, FORMER, found.mobile, NOON)
        for who, what in steps:
            if who == "deliver":
                here.deliver()
                codes_sent = [text for text in here.carrier.sent if "code" in text.parameters]
                code = codes_sent[-1].parameters["code"] if codes_sent else code
            elif who == "time":
                here.clock.forward(seconds=what)
            else:
                here.texts += 1
                spaced, persian = f"{code[:3]} {code[3:]}", code.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
                words = what.format(code=code, spaced=spaced, persian=persian)
                here.bot.hear(Inbound("simulated", f"F{here.texts}", PHONES[who], words))
            (row,) = [row for row in here.rows(ACCOUNT) if row.national_id == ID]
            if [row.password_hash] != passwords[-1:] and row.password_hash is not None:
                passwords.append(row.password_hash)
        here.deliver()
        for mobile in (ZAHRA["mobile"], FORMER):
            told = [phrase for _, to, phrase in here.received if to == mobile and phrase in TELLING]
            assert len(told) == len(passwords), f"{mobile} was told {told}"
        changed += len(passwords)

    run([*ASKED, ("zahra", "{code}"), ("zahra", "STOP")])
    run([*ASKED, ("zahra", "{code}"), ("zahra", "START"), ("stranger", f"رمز {ID}"), ("zahra", "لغو")])
    anything = st.one_of(codes, codes, requests, commands)
    begun: st.SearchStrategy[list[Step]] = st.sampled_from(["رمز", "تغییر"]).map(
        lambda word: [("zahra", f"{word} {ID}"), ("deliver", ""), ("zahra", "{code} " + OWN)]
    )
    some = st.lists(st.one_of(walks(st.sampled_from(["zahra", "stranger"]), anything), begun), min_size=1, max_size=4)
    tried(examples, run, some.map(joined))
    assert changed > examples // 4, "hardly a password was changed"
