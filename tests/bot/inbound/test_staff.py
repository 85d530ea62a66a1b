"""Staff: who they are, how much they may do, what they are told, and that nothing else ever comes of it."""

import re
from contextlib import closing
from datetime import timedelta
from io import StringIO

import pytest
from click.testing import CliRunner
from sqlalchemy import func, insert, select, update

from bot.build import Bot
from bot.inbound import staff_context
from bot.ports import Inbound, Reason, SendFailed
from dialogs.limits import CONFIRMATIONS_PER_HOUR, LOCKING_FAILURES, RESETS_PER_DAY, RESETS_PER_HOUR
from dialogs.staff_vocabulary import StaffEvent
from store import outbound_messages
from store import staff as members
from store.accounts import Account
from store.audit import AUDIT
from store.database.engine import Store
from store.staff import STAFF, Member
from store.tables import AccountRow, CodeRow, DeliveryStatus, OutboundMessageRow, StaffOrderRow, table
from tests.conftest import MakeBot
from tests.support.made_texts import put_accounts
from tests.support.parts import KEYS, NOON, Carrier, StoppedClock
from tests.support.people import PHONES, TEHRAN, ZAHRA, employ, settled
from tests.support.transcript import Player
from wsgi import app

ACCOUNT, CODE, ORDER, MESSAGE = table(AccountRow), table(CodeRow), table(StaffOrderRow), table(OutboundMessageRow)


@pytest.fixture
def bot(make_bot: MakeBot) -> Bot:
    found = settled(make_bot())
    employ(found.store)
    return found


@pytest.fixture
def player(bot: Bot, carrier: Carrier, clock: StoppedClock) -> Player:
    return Player(bot, carrier, clock)


def holder(**changes: str | None) -> Account:
    whole = dict.fromkeys(Account.__dataclass_fields__) | {"active": True, "failures": 0} | changes
    return Account(**whole)  # type: ignore[arg-type]


def member(role: str, province: str | None = None, broker: str | None = None) -> Member:
    return Member(1, TEHRAN["mobile"], "N", role, province, broker)


@pytest.mark.parametrize(
    ("who", "account", "reached"),
    [
        (member("provincial", province="تهران"), holder(province="تهران"), True),
        (member("provincial", province="كرمان"), holder(province="کرمان"), True),
        (member("provincial", province="آذربايجان  شرقي"), holder(province="آذربایجان شرقی"), True),
        (member("provincial", province="تهران"), holder(province="فارس"), False),
        (member("provincial", province="تهران"), holder(province=None), False),
        (member("provincial", province=None), holder(province=None), False),
        (member("provincial", province=" ـ\u200c"), holder(province="ـ"), False),
        (member("broker", broker="\u200f"), holder(broker="\u200f"), False),
        (member("provincial", province="تهران", broker="نور"), holder(province="فارس", broker="نور"), False),
        (member("broker", broker="نور"), holder(province="فارس", broker="نور"), True),
        (member("broker", broker="نور"), holder(broker=None), False),
        (member("headquarters"), holder(), True),
    ],
)
def test_a_role_reaches_its_own_accounts(who: Member, account: Account, reached: bool) -> None:
    assert staff_context.is_in_scope(who, account) is reached


def carried_out(bot: Bot, number: int, clock: StoppedClock, minutes: float) -> None:
    """Resets that a staff member had carried out, evenly over the last minutes."""
    with bot.store.writing() as connection:
        (clerk,) = [it for it in members.every(connection) if it.mobile == TEHRAN["mobile"]]
        account = connection.execute(select(ACCOUNT.c.id).where(ACCOUNT.c.mobile == ZAHRA["mobile"])).scalar_one()
        for each in range(number):
            at = clock() - timedelta(minutes=minutes * each / number)
            row = {"id": f"old{each:019d}", "staff_id": clerk.id, "command": "reset", "account_id": account}
            row |= {"ref": "111-111", "created_at": at, "done_at": at}
            connection.execute(insert(ORDER), row)


def test_thirty_resets_an_hour_and_then_an_alarm(
    bot: Bot, player: Player, clock: StoppedClock, printed: StringIO
) -> None:
    carried_out(bot, RESETS_PER_HOUR - 1, clock, minutes=50)
    player.play("tehran> RESET 0012345679\n< code_to_reset\n> {code}\nzahra< code\n< staff_reset_done")
    assert "alarm" not in printed.getvalue()
    player.play("tehran> RESET 0012345679\n< staff_too_often\ncolleague> RESET 0012345679\n< code_to_reset")
    assert '"alarm": "staff_limit"' in printed.getvalue()
    assert '"level": "error"' in printed.getvalue()
    player.play("tehran> STATUS 0012345679\n< staff_status_with_resets\n+ 61 min\n> RESET 0012345679\n< code_to_reset")


def test_a_hundred_resets_a_day(bot: Bot, player: Player, clock: StoppedClock) -> None:
    carried_out(bot, RESETS_PER_DAY, clock, minutes=23 * 60)
    player.play("tehran> RESET 0012345679\n< staff_too_often\n+ 3 h\n> RESET 0012345679\n< code_to_reset")


def test_an_order_given_before_the_limit_is_refused_after_it(
    bot: Bot, player: Player, clock: StoppedClock, printed: StringIO
) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    carried_out(bot, RESETS_PER_HOUR, clock, minutes=50)
    player.play("tehran> {code}\n< staff_too_often")
    assert '"alarm": "staff_limit"' in printed.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"province": "فارس"}, "staff_denied"),
        ({"active": False}, "staff_denied"),
        ({"locked_at": NOON}, "staff_denied"),
        ({}, "staff_reset_done"),
    ],
)
def test_what_was_in_scope_when_ordered_must_be_when_confirmed(
    bot: Bot, player: Player, change: dict[str, object], said: str
) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    if change:
        with bot.store.writing() as connection:
            connection.execute(update(ACCOUNT).where(ACCOUNT.c.mobile == ZAHRA["mobile"]).values(change))
    player.play(f"tehran> {{code}}\n{'zahra< code' if not change else ''}\n< {said}")


def test_each_sees_the_others_reset_in_the_status(player: Player, carrier: Carrier, clock: StoppedClock) -> None:
    refs = []
    for who in ("tehran", "colleague"):
        player.play(f"{who}> RESET 0012345679\n< code_to_reset\n> {{code}}\nzahra< code\n< staff_reset_done")
        refs += re.findall(r"\b[0-9]{5}\b", carrier.sent[-1].text)
        clock.forward(minutes=10)
    assert len(set(refs)) == 2
    for who in ("tehran", "colleague", "chief"):
        player.play(f"{who}> STATUS 0012345679\n< en staff_status_with_resets")
        said = carrier.sent[-1].text
        assert all(ref in said for ref in refs), said
        assert "5679" in said and "0012345679" not in said
        assert ZAHRA["mobile"][-10:] not in said
        assert re.findall("[0-9]{2}:[0-9]{2}", said) == ["12:30", "12:40"]


@pytest.mark.parametrize(
    ("before", "state"),
    [
        ("", "no code"),
        ("zahra> RESET 0012345679\n< code", "code sent"),
        ("zahra> RESET 0012345679\n< code\n! undelivered zahra\n< code", "code sent"),
        ("zahra> RESET 0012345679\n< code\n! undelivered zahra\n< code\n! undelivered zahra", "not delivered"),
        ("zahra> RESET 0012345679\n< code\n> {code}\n< new_password", "recovered"),
        ("zahra> RESET 0012345679\n< code\n+ 11 min", "code expired"),
    ],
)
def test_a_status_says_how_far_the_last_code_came(player: Player, carrier: Carrier, before: str, state: str) -> None:
    player.play(f"{before}\nchief> STATUS 0012345679\n< en staff_status")
    assert carrier.sent[-1].text == f"National ID ending 5679: {state}. Wrong codes: 0"


def test_figures_are_of_the_day_and_of_the_scope(player: Player, carrier: Carrier) -> None:
    player.play(
        """
        zahra> RESET 0012345679
        < code
        > {code}
        < new_password
        omid> RESET 8052916372
        < code
        ! undelivered omid
        < code
        ! undelivered omid
        tehran> RESET 0012345679
        < code_to_reset
        > {code}
        zahra< code
        < staff_reset_done
        """
    )
    for who, codes, passwords, done, undelivered in (
        ("chief", 3, 1, 1, 1),
        ("broker", 3, 1, 1, 1),
        ("tehran", 2, 1, 1, 0),
    ):
        player.play(f"{who}> STATS\n< staff_stats")
        said = f"Today: {codes} codes, {passwords} new passwords, {done} resets, {undelivered} texts not delivered."
        assert carrier.sent[-1].text == said
    player.play("+ 24 h\nchief> STATS\n< staff_stats")
    assert carrier.sent[-1].text.startswith("Today: 0 codes, 0 new passwords, 0 resets")


def ordered(player: Player) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset\n> {code}\nzahra< code\n< staff_reset_done")


def test_a_text_that_waits_is_told_of_within_a_minute(bot: Bot, player: Player, carrier: Carrier) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    carrier.failures += [SendFailed(Reason.TIMEOUT, permanent=False)]
    player.play("tehran> {code}\n< staff_reset_done\n! sweep\n+ 41 s")
    with bot.store.writing() as connection:  # it still waits
        connection.execute(
            update(MESSAGE).where(MESSAGE.c.phrase == "code").values(next_attempt_at=bot.clock() + timedelta(minutes=1))
        )
    player.play("! sweep\ntehran< staff_undelivered\n! sweep")


def test_a_text_that_arrives_is_not_spoken_of(bot: Bot, player: Player, carrier: Carrier, clock: StoppedClock) -> None:
    ordered(player)
    with bot.store.writing() as connection:
        newest = connection.execute(
            select(func.max(MESSAGE.c.id)).where(MESSAGE.c.phone == ZAHRA["mobile"])
        ).scalar_one()
        assert outbound_messages.receive_receipt(
            connection, "simulated", f"P{newest}", DeliveryStatus.DELIVERED, clock()
        )
    player.play("+ 50 s\n! sweep\n+ 10 min\n! sweep")


def test_a_permanent_failure_is_told_at_once(player: Player, carrier: Carrier) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    carrier.failures += [SendFailed(Reason.UNREACHABLE, permanent=True)]
    player.play("tehran> {code}\n< staff_reset_done\n! sweep\ntehran< staff_undelivered")


def test_staff_see_no_code_and_no_password(player: Player, carrier: Carrier) -> None:
    ordered(player)
    player.play("zahra> {code}\n< new_password\ntehran> STATUS 0012345679\n< staff_status_with_resets")
    to_zahra = [sent.text for sent in carrier.sent if sent.to == ZAHRA["mobile"]]
    secret = re.compile(r"\b[0-9]{6}\b|^[a-z2-9]{4}(?:-[a-z2-9]{4}){2}$", re.MULTILINE)
    secrets = {found for words in to_zahra for found in secret.findall(words)}
    assert len(secrets) == 2
    to_staff = "\n".join(sent.text for sent in carrier.sent if sent.to == TEHRAN["mobile"])
    assert not any(secret in to_staff for secret in secrets)


def test_a_text_to_staff_holds_no_number_or_id(player: Player, carrier: Carrier) -> None:
    ordered(player)
    player.play("tehran> موبایل 0012345679 09171112233\n< code_to_propose_mobile\n> {code}\n< staff_mobile_proposed")
    for sent in carrier.sent:
        if sent.to == TEHRAN["mobile"]:
            runs = re.findall(r"\d+", sent.text)
            assert sum(len(run) == 6 for run in runs) <= 1
            assert all(len(run) in {1, 2, 3, 4, 5, 6} for run in runs), sent.text


def test_a_code_that_staff_had_sent_is_none_of_the_owners_codes_of_the_hour(player: Player) -> None:
    for _ in range(6):
        ordered(player)
    player.play("zahra> رمز 0012345679\n< code_already_sent\n+ 61 s\n> رمز 0012345679\n< code")


def test_a_forger_with_a_staff_number_moves_nothing(bot: Bot, player: Player, carrier: Carrier) -> None:
    for words in (
        "RESET 0012345679",
        "UNLOCK 0105829315",
        "MOBILE 0012345679 09171112233",
        "123456",
        "RESET 8052916372",
    ):
        bot.hear(Inbound("simulated", f"F{words}", PHONES["tehran"], words))
    bot.courier.deliver_due()
    assert {sent.to for sent in carrier.sent} == {TEHRAN["mobile"]}
    with bot.store.reading() as connection:
        for_accounts = select(func.count()).where(CODE.c.account_id.is_not(None))
        assert connection.execute(for_accounts).scalar_one() == 0


def test_one_who_was_removed_orders_nothing(bot: Bot, player: Player, clock: StoppedClock) -> None:
    with bot.store.writing() as connection:
        assert members.remove(connection, TEHRAN["mobile"], clock())
        assert members.remove(connection, TEHRAN["mobile"], clock()) is None
    player.play("tehran> STATUS 0012345679\n< help")
    employ(bot.store, TEHRAN)
    player.play("tehran> STATUS 0012345679\n< staff_status")


def wrong_confirmations(bot: Bot, player: Player, number: int) -> None:
    """So many wrong codes in a row, over as many orders as they take."""
    for each in range(number):
        if each % 5 == 0:
            player.clock.forward(minutes=6)
            player.play("tehran> RESET 0012345679\n< code_to_reset")
        player.text("{wrong}")
        bot.courier.deliver_due()


def test_a_hundred_wrong_confirmations_lock_a_staff_member_out(bot: Bot, player: Player, printed: StringIO) -> None:
    wrong_confirmations(bot, player, LOCKING_FAILURES - 1)
    assert "staff_locked_out" not in printed.getvalue()
    player.play("tehran> {wrong}\n< staff_locked_out\n> {code}\n< staff_no_live_code")
    assert '"alarm": "staff_locked_out"' in printed.getvalue()
    player.play("> RESET 0012345679\n< staff_locked_out\n> STATUS 0012345679\n< staff_locked_out")
    player.play("colleague> STATUS 0012345679\n< staff_status")
    employ(bot.store, TEHRAN)
    player.play("tehran> RESET 0012345679\n< code_to_reset\n> {wrong}\n< wrong_code")
    player.play("> {code}\nzahra< code\ntehran< staff_reset_done")


def test_a_right_confirmation_ends_the_run_of_wrong_ones(bot: Bot, player: Player) -> None:
    wrong_confirmations(bot, player, LOCKING_FAILURES - 1)
    player.play("tehran> {code}\nzahra< code\n< staff_reset_done\ntehran> RESET 0012345679\n< code_to_reset")
    player.play("> {wrong}\n< wrong_code\n> {code}\nzahra< code\n< staff_reset_done")


def test_an_order_is_one_event_however_often_it_is_sent(bot: Bot, carrier: Carrier) -> None:
    order = Inbound("simulated", "M1", PHONES["tehran"], "RESET 0012345679")
    assert [bot.hear(order), bot.hear(order)] == [StaffEvent.RESET_ORDERED, None]
    assert bot.courier.deliver_due() == 1


# flask staff


def typed(url: str, *words: str) -> tuple[int, str]:
    environment = {"DATABASE_URL": url, "SECRET_KEYS": KEYS}
    result = CliRunner().invoke(app.cli, ["staff", *words], env=environment)
    return result.exit_code, result.output


ADD = ("add", "--mobile", "09121110001", "--role", "provincial", "--name", " مریم  رضایی ", "--province", "تهران")


def test_the_operator_adds_lists_and_removes_staff(sqlite_url: str) -> None:
    assert typed(sqlite_url, "list") == (0, "There is no staff.\n")
    assert typed(sqlite_url, *ADD)[0] == 0
    assert typed(sqlite_url, "list") == (0, "+989121110001  provincial  تهران  مریم رضایی\n")
    changed = ("add", "--mobile", "+98 912 111 0001", "--role", "headquarters", "--name", "مریم")
    assert typed(sqlite_url, *changed)[0] == 0
    assert typed(sqlite_url, "list") == (0, "+989121110001  headquarters  -  مریم\n")
    status, said = typed(sqlite_url, "remove", "--mobile", "09121110001")
    assert status == 0 and said.endswith("Removed.\n")
    assert typed(sqlite_url, "remove", "--mobile", "09121110001")[0] == 1
    assert typed(sqlite_url, "list") == (0, "There is no staff.\n")


def test_the_audit_tells_of_who_was_added_and_removed(sqlite_url: str) -> None:
    assert typed(sqlite_url, *ADD)[0] == 0
    assert typed(sqlite_url, "remove", "--mobile", "09121110001")[0] == 0
    with closing(Store(sqlite_url)) as store, store.reading() as connection:
        rows = connection.execute(select(AUDIT).order_by(AUDIT.c.id)).all()
        number = connection.execute(select(STAFF.c.id)).scalar_one()
    assert [(row.actor, row.action, row.staff_id) for row in rows] == [
        ("operator", "staff_added", number),
        ("operator", "staff_removed", number),
    ]


def test_who_is_added_again_by_the_operator_begins_anew(bot: Bot, player: Player) -> None:
    """Neither an order nor a proposal outlives the role that it was made in."""
    player.play("tehran> MOBILE 0012345679 09171112233\n< code_to_propose_mobile\n> {code}\n< staff_mobile_proposed")
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    again = ("add", "--mobile", TEHRAN["mobile"], "--role", "headquarters", "--name", "N")
    assert typed(bot.store.url.render_as_string(hide_password=False), *again)[0] == 0
    player.play("tehran> {code}\n< staff_no_live_code")
    player.play("chief> MOBILE 0012345679 09171112233\n< code_to_propose_mobile")
    with bot.store.reading() as connection:
        rows = connection.execute(select(AUDIT).where(AUDIT.c.actor == "operator").order_by(AUDIT.c.id)).all()
    assert [row.action for row in rows] == ["staff_added", "mobile_change_stopped"]


@pytest.mark.parametrize(
    "words",
    [
        ("add", "--mobile", "02112345678", "--role", "headquarters", "--name", "x"),
        ("add", "--mobile", "09121110001", "--role", "provincial", "--name", "x"),
        ("add", "--mobile", "09121110001", "--role", "broker", "--name", "x", "--province", "تهران"),
        ("add", "--mobile", "09121110001", "--role", "headquarters", "--name", "x", "--broker", "نور"),
        ("add", "--mobile", "09121110001", "--role", "chief", "--name", "x"),
        ("add", "--mobile", "09121110001", "--role", "headquarters", "--name", "  "),
        ("add", "--mobile", "09121110001", "--role", "headquarters", "--name", "x" * 121),
        ("add", "--role", "headquarters", "--name", "x"),
        ("remove", "--mobile", "nobody"),
    ],
)
def test_it_says_what_is_wrong_and_adds_nobody(sqlite_url: str, words: tuple[str, ...]) -> None:
    status, said = typed(sqlite_url, *words)
    assert (status, said.count("Traceback")) == (2, 0)
    assert "--" in said
    assert typed(sqlite_url, "list") == (0, "There is no staff.\n")


def test_names_may_hold_a_half_space_and_numbers_any_digits_and_marks(sqlite_url: str) -> None:
    words = ("add", "--mobile", "\u200e۰۹۱۲-۱۱۱ ۰۰۰۱\u200f", "--role", "broker", "--name", "علی\u200cاکبر")
    assert typed(sqlite_url, *words, "--broker", "كاروان\u200cنور")[0] == 0
    assert typed(sqlite_url, "list") == (0, "+989121110001  broker  کاروان نور  علی\u200cاکبر\n")
    assert typed(sqlite_url, *words[:-1], "\u200c", "--broker", "نور")[0] == 2
    assert typed(sqlite_url, *words, "--broker", "\u200c")[0] == 2


def test_it_warns_of_a_place_that_no_account_has_and_names_the_nearest(sqlite_url: str) -> None:
    with closing(Store(sqlite_url)) as store:
        put_accounts(store, ("خراسان رضوی", "نور"), ("تهران", None))
    said = typed(sqlite_url, *ADD[:-1], "خراسان رصوی")
    assert (said[0], "خراسان رضوی" in said[1], "Warning: --province" in said[1]) == (0, True, True)
    assert "Warning" not in typed(sqlite_url, *ADD[:-1], "خراسان\u200cرضوي")[1]
    said = typed(sqlite_url, *ADD[:-1], "بوشهر")
    assert (said[0], "Warning: --province" in said[1], "nearest" in said[1]) == (0, True, False)


def test_everybody_is_kept_by_what_they_did(bot: Bot, player: Player) -> None:
    ordered(player)
    with bot.store.reading() as connection:
        found = connection.execute(select(CODE.c.requested_by).where(CODE.c.account_id.is_not(None))).one()
        (clerk,) = [it for it in members.every(connection) if it.mobile == TEHRAN["mobile"]]
        order = connection.execute(select(ORDER.c.staff_id).where(ORDER.c.sent_code_id.is_not(None))).one()
    assert (found, order) == (("staff",), (clerk.id,))


def test_a_reset_that_is_confirmed_while_the_mobile_is_held_sends_no_code(player: Player, carrier: Carrier) -> None:
    """Ordered before the change was approved; by then the code would go to a mobile that two of staff doubt."""
    change = "MOBILE 0012345679 09171112233"
    player.play(f"tehran> {change}\n< code_to_propose_mobile\n> {{code}}\n< staff_mobile_proposed")
    player.play("broker> RESET 0012345679\n< code_to_reset")
    player.play(
        f"chief> {change}\n< code_to_approve_mobile\n> {{code}}\n< staff_mobile_approved\nzahra< mobile_changing"
    )
    before = len(carrier.sent)
    player.play("broker> {code}\n< staff_denied")
    assert [text.to for text in carrier.sent[before:]] == [PHONES["broker"]]


def test_sixty_orders_an_hour_may_be_given_and_those_not_carried_out_are_no_resets(
    bot: Bot, player: Player, clock: StoppedClock
) -> None:
    carried_out(bot, CONFIRMATIONS_PER_HOUR - 1, clock, minutes=50)
    with bot.store.writing() as connection:
        connection.execute(update(ORDER).values(done_at=None))
    player.play("tehran> RESET 0012345679\n< code_to_reset\n> RESET 0012345679\n< staff_too_often")
    player.play("colleague> RESET 0012345679\n< code_to_reset\n+ 61 min\ntehran> RESET 0012345679\n< code_to_reset")


def test_a_code_is_good_for_what_it_was_sent_for_alone(bot: Bot, player: Player, carrier: Carrier) -> None:
    player.play("tehran> RESET 0012345679\n< code_to_reset")
    of_order = player.codes["tehran"][-1]
    asked = [bot.console.ask(TEHRAN["mobile"], "192.0.2.1", "fa")]
    bot.courier.deliver_due()
    of_console = re.findall(r"\b[0-9]{6}\b", carrier.sent[-1].text)[-1]
    assert bot.console.enter(TEHRAN["mobile"], of_order, "192.0.2.1", asked) is None
    player.play(f"tehran> {of_console}\n< wrong_code\n> {of_order}\nzahra< code\n< staff_reset_done")
    assert bot.console.enter(TEHRAN["mobile"], of_console, "192.0.2.1", asked) is not None
