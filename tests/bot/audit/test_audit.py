"""The audit: a row for whatever is done or tried, that says enough and tells no secret."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.audit.trail import Entry, Trail, masked
from bot.build import Bot
from bot.fakher.service import Caller, TicketGone, WeakPassword
from bot.ports import Inbound
from dialogs.audit_vocabulary import Action, Actor, Outcome, Record, RecordOrder
from dialogs.staff_vocabulary import MoveChange, StaffEvent
from dialogs.tables.dialog import Dialog
from dialogs.tables.recovery import RECOVERY
from dialogs.tables.staff import STAFF as STAFF_DIALOG
from dialogs.vocabulary import DropCode, Event, OptIn, OptOut
from store.audit import AUDIT
from store.database.engine import Store
from store.tables import AccountRow, MessageKind, table
from tests.conftest import MakeBot
from tests.support.parts import NOON, Carrier, StoppedClock
from tests.support.people import UNKNOWN_ID, ZAHRA, settled
from tests.support.transcript import Player

ACCOUNT = table(AccountRow)


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(AUDIT).order_by(AUDIT.c.id)))


@pytest.fixture
def trail(bot: Bot) -> Trail:
    return Trail(bot.keyring, bot.parts.random_source)


def test_it_writes_rows_in_order(trail: Trail, store: Store) -> None:
    asked = Entry(Actor.STAFF, Action.STAFF_RESET, who="…4567", account_id=3, staff_id=2, ref="R1")
    sent = Entry(Actor.BOT, Action.CODE_SENT, Outcome.REFUSED, "too_often", account_id=3)
    with store.writing() as connection:
        trail.note(connection, NOON, asked, sent)
    first, second = rows(store)
    assert (first.at, first.actor, first.who, first.action, first.outcome) == (
        NOON, "staff", "…4567", "staff_reset", "ok",
    )  # fmt: skip
    assert (first.account_id, first.staff_id, first.ref, first.reason, first.seq) == (3, 2, "R1", None, None)
    assert (second.actor, second.outcome, second.reason, second.who) == ("bot", "refused", "too_often", "")
    assert first.nonce != second.nonce


def test_what_is_undone_leaves_no_row(trail: Trail, store: Store) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.BOT, Action.CODE_SENT))
        connection.rollback()
    assert rows(store) == []


@pytest.mark.parametrize("who", ["a\r\nb", "a\x1b[2Jb", "a\u202eb", "a\x00b", "a\u2028b", "a\ud800b"])
def test_nothing_breaks_a_line_or_steers_a_terminal(trail: Trail, store: Store, who: str) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.STAFF, Action.STAFF_STATS, who=who, reason=who, ref=who))
    (row,) = rows(store)
    for said in (row.who, row.reason, row.ref):
        assert said.isprintable()
        assert said.startswith("a ")
        assert said.endswith("b")


def test_a_long_name_is_cut(trail: Trail, store: Store) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.STAFF, Action.STAFF_STATS, who="ن" * 90))
    assert rows(store)[0].who == "ن" * 60


def test_a_number_is_shown_by_its_last_digits() -> None:
    assert masked("+989121234567") == "…4567"


# What a text leaves


@dataclass
class Town:
    """Phones and Fakher, and what the audit says of them."""

    player: Player
    bot: Bot
    seen: int = 0

    def rows(self) -> list[str]:
        """The rows since the last look: actor, who, action, outcome, reason and whose account."""
        with self.bot.store.reading() as connection:
            names = {row.id: row.username for row in connection.execute(select(ACCOUNT.c.id, ACCOUNT.c.username))}
        new, self.seen = rows(self.bot.store)[self.seen :], len(rows(self.bot.store))
        return [
            " ".join([it.actor + it.who, it.action, it.outcome, it.reason or "-", names.get(it.account_id, "nobody")])
            for it in new
        ]

    def text(self, who: str, *words: str) -> list[str]:
        self.player.in_hand = who
        for each in words:
            self.player.text(each)
            self.player._sent()
        return self.rows()


@pytest.fixture
def town(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> Town:
    bot = settled(make_bot(OWN_PASSWORD_BY_SMS="on", RESEND_AFTER_SECONDS="60"))
    return Town(Player(bot, carrier, clock), bot)


ASKED = "pilgrim…4567 code_requested ok - zahra"
SENT = "bot code_sent ok - zahra"
TRIED = "pilgrim…4567 code_tried ok - zahra"


def test_a_recovery_is_told_step_by_step(town: Town) -> None:
    assert town.text("zahra", "رمز 0012345679") == [SENT, ASKED]
    assert town.text("zahra", "{wrong}") == ["pilgrim…4567 code_tried failed wrong zahra"]
    assert town.text("zahra", "{code}") == ["pilgrim…4567 password_set ok - zahra", TRIED]
    assert town.text("zahra", "{code}") == ["pilgrim…4567 code_tried failed no_live_code zahra"]


def test_a_wrong_code_beside_a_request_is_told_too(town: Town) -> None:
    town.text("zahra", "رمز 0012345679")
    missed, refused = "pilgrim…4567 code_tried failed wrong zahra", "pilgrim…4567 code_requested refused too_soon zahra"
    assert town.text("zahra", "رمز 0012345679 {wrong}") == [refused, missed]


def test_a_change_is_told_step_by_step(town: Town) -> None:
    assert town.text("zahra", "تغییر 0012345679") == [SENT, "pilgrim…4567 code_requested ok to_change zahra"]
    assert town.text("zahra", "{code}") == ["pilgrim…4567 code_tried ok without_password zahra"]
    assert town.text("zahra", "{code} short") == ["pilgrim…4567 code_tried ok with_short_password zahra"]
    assert town.text("zahra", "{code} Saffron-1447-kettle") == [
        "pilgrim…4567 password_changed ok - zahra",
        "pilgrim…4567 code_tried ok with_password zahra",
    ]


def test_a_code_that_is_good_at_fakher_only_is_told(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> None:
    bot = settled(make_bot())
    town = Town(Player(bot, carrier, clock), bot)
    town.text("zahra", "تغییر 0012345679")
    assert town.text("zahra", "{code}") == ["pilgrim…4567 code_tried ok for_fakher zahra"]
    assert town.text("zahra", "{code} Saffron-1447-kettle") == [
        "pilgrim…4567 password_offered refused not_by_text zahra"
    ]


def test_a_strangers_request_is_told_with_the_account_that_it_named(town: Town) -> None:
    assert town.text("stranger", "رمز 0012345679") == [SENT, "pilgrim…0001 code_requested ok other_phone zahra"]
    assert town.text("stranger", "رمز 0105829315") == ["pilgrim…0001 code_requested refused in_vain locked"]
    assert town.text("stranger", "رمز 7604529186") == ["pilgrim…0001 code_requested refused in_vain retired"]


def test_of_an_id_that_nobody_has_nothing_is_kept(town: Town) -> None:
    assert town.text("stranger", f"رمز {UNKNOWN_ID}") == ["pilgrim…0001 code_requested refused in_vain nobody"]
    assert UNKNOWN_ID not in repr(rows(town.bot.store))


def test_requests_that_no_code_follows_are_told(town: Town) -> None:
    assert town.text("zahra", "رمز") == ["pilgrim…4567 code_requested refused no_id nobody"]
    assert town.text("zahra", "رمز 0012345678") == ["pilgrim…4567 code_requested refused invalid_id nobody"]
    town.text("zahra", "رمز 0012345679")
    assert town.text("zahra", "رمز 0012345679") == ["pilgrim…4567 code_requested refused too_soon zahra"]
    texts = ["رمز 0012345679"] * 20  # beyond what is answered
    assert town.text("zahra", *texts) == ["pilgrim…4567 code_requested refused too_soon zahra"] * 20


def test_the_last_wrong_code_burns_it(town: Town) -> None:
    town.text("zahra", "رمز 0012345679", *["{wrong}"] * 4)
    assert town.text("zahra", "{wrong}") == [
        "bot code_burned ok - zahra",
        "pilgrim…4567 code_tried failed last_wrong zahra",
    ]


def test_the_hundredth_wrong_code_locks(town: Town) -> None:
    town.text("zahra", "رمز 0012345679")
    with town.bot.store.writing() as connection:
        connection.execute(update(ACCOUNT).values(failures=99))
    assert town.text("zahra", "{wrong}") == [
        "bot code_burned ok - zahra",
        "bot recovery_locked ok - zahra",
        "pilgrim…4567 code_tried failed locking_wrong zahra",
    ]


def test_both_accounts_of_one_mobile_are_told_of(town: Town) -> None:
    town.text("omid", "RESET 8052916372", "RESET 2815093766")
    assert town.text("omid", "{wrong}") == [f"pilgrim…2233 code_tried failed wrong {it}" for it in ("omid", "twin")]


def test_a_cancelled_code_is_told(town: Town) -> None:
    town.text("zahra", "رمز 0012345679")
    assert town.text("zahra", "لغو") == ["pilgrim…4567 code_cancelled ok - zahra"]
    assert town.text("zahra", "لغو", "راهنما", "سلام") == []


def test_consent_is_told(town: Town) -> None:
    assert town.text("zahra", "STOP") == ["pilgrim…4567 opted_out ok - zahra"]
    assert town.text("zahra", "START", "START") == ["pilgrim…4567 opted_in ok - zahra"]
    town.text("zahra", "STOP")
    assert town.text("zahra", "رمز 0012345679") == ["pilgrim…4567 opted_in ok - zahra", SENT, ASKED]
    assert town.text("stranger", "STOP") == ["pilgrim…0001 opted_out ok - nobody"]


def test_a_code_that_a_silenced_phone_tries_is_told(town: Town) -> None:
    town.text("zahra", "رمز 0012345679", "STOP")
    assert town.text("zahra", "{wrong}") == ["pilgrim…4567 code_tried refused opted_out zahra"]


def test_a_text_that_comes_twice_leaves_its_rows_once(town: Town) -> None:
    again = Inbound("simulated", "TWICE", ZAHRA["mobile"], "رمز 0012345679")
    town.bot.hear(again)
    town.bot.hear(again)
    assert town.rows() == [SENT, ASKED]


# What neither asks for anything nor tries anything.
UNTOLD = {
    *(Event.HELP, Event.NOTHING_TO_CANCEL, Event.NOTHING_TO_START, Event.NOT_UNDERSTOOD),
    *(Event.UNANSWERED, Event.TIMED_OUT),
    *(StaffEvent.HELP, StaffEvent.NOT_UNDERSTOOD, StaffEvent.TIMED_OUT),
}
# What leaves a row as it is carried out, about each account that it changes.
TELLS_BY_ITSELF = (DropCode, OptOut, OptIn, MoveChange)


@pytest.mark.parametrize("dialog", [RECOVERY, STAFF_DIALOG], ids=["recovery", "staff"])
def test_every_event_is_thought_of(dialog: Dialog[Any, Any]) -> None:
    for state, arrows in {None: dialog.anywhere, **dialog.table}.items():
        for event, arrow in arrows.items():
            told = [effect for effect in arrow.effects if isinstance(effect, Record | RecordOrder)]
            if event in UNTOLD:
                assert told == [], (state, event)
            else:
                assert len(told) == 1 or any(isinstance(it, TELLS_BY_ITSELF) for it in arrow.effects), (state, event)


# What Fakher leaves


def test_what_fakher_asks_is_told(town: Town) -> None:
    fakher, caller = town.bot.fakher, Caller("t", "Fakher")
    zahra = ZAHRA["national_id"]
    town.text("zahra", "رمز 0012345679")
    fakher.verify_code(caller, zahra, "999999")
    fakher.verify_code(caller, UNKNOWN_ID, "999999")
    assert town.rows() == [
        "fakherFakher code_tried failed wrong_code zahra",
        "fakherFakher code_tried failed no_live_code nobody",
    ]
    verdict = fakher.verify_code(caller, zahra, town.player.codes["zahra"][-1])
    assert verdict.ticket
    assert town.rows() == ["fakherFakher code_tried ok - zahra", "fakherFakher ticket_granted ok - zahra"]
    with pytest.raises(WeakPassword):
        fakher.set_password(caller, verdict.ticket.text, "short")
    fakher.set_password(caller, verdict.ticket.text, "saffron and copper pots")
    with pytest.raises(TicketGone):
        fakher.set_password(caller, verdict.ticket.text, "saffron and copper pots")
    assert town.rows() == [
        "fakherFakher password_changed refused too_short zahra",
        "fakherFakher password_changed ok - zahra",
        "fakherFakher password_changed refused ticket_gone nobody",
    ]


def test_logins_are_told(town: Town) -> None:
    fakher, caller = town.bot.fakher, Caller("t", "Fakher")
    town.text("zahra", "رمز 0012345679", "{code}")
    password = next(text.text.splitlines()[1] for text in town.player.carrier.sent if text.kind is MessageKind.PASSWORD)
    fakher.verify_password(caller, password, person=ZAHRA["national_id"])
    fakher.verify_password(caller, "wrong", username="zahra")
    fakher.verify_password(caller, "wrong", username="nobody at all")
    town.player.clock.forward(hours=73)
    fakher.verify_password(caller, password, person=ZAHRA["national_id"])
    assert town.rows() == [
        "fakherFakher login ok - zahra",
        "fakherFakher login failed wrong_password zahra",
        "fakherFakher login failed wrong_password nobody",
        "fakherFakher login failed expired zahra",
    ]


def test_fakhers_last_wrong_code_locks(town: Town) -> None:
    town.text("zahra", "رمز 0012345679")
    with town.bot.store.writing() as connection:
        connection.execute(update(ACCOUNT).values(failures=99))
    town.bot.fakher.verify_code(Caller("t", "Fakher"), ZAHRA["national_id"], "999999")
    assert town.rows() == [
        "fakherFakher code_tried failed locked zahra",
        "bot code_burned ok - zahra",
        "bot recovery_locked ok - zahra",
    ]


# What is left is proven


def test_all_that_was_told_is_unbroken(town: Town) -> None:
    town.text("zahra", "رمز 0012345679", "{wrong}", "{code}", "STOP", "START")
    town.text("stranger", f"رمز {UNKNOWN_ID}", "رمز 0012345679")
    next(job for job in town.bot.jobs.all() if job.name == "audit").run()
    proof = town.bot.audit_chain.prove()
    assert proof.faults == []
    assert proof.rows == len(rows(town.bot.store)) == proof.end.seq
