"""What is kept how long: every table has a rule, the dry run tells what the next run drops, settings are heeded."""

import re
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.build import Bot
from bot.cli.retention import span_of
from bot.ports import Inbound
from bot.settings import BadSettings
from store import expiry, inbound_messages, stats_periods
from store.retention import LATEST_RECEIPT, Retention
from store.tables import METADATA
from store.views.delivery_stats import Cell
from tests.bot.cli.test_commands import typed
from tests.conftest import MakeBot
from tests.support.parts import KEYS, StoppedClock, settings
from tests.support.people import STRANGER, ZAHRA, settled
from tests.support.places import ROOT


def numbers(bot: Bot) -> dict[str, int]:
    with bot.store.reading() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(it)).scalar_one()
            for name, it in METADATA.tables.items()
        }


def test_every_table_has_its_rule_and_a_reason() -> None:
    assert {name for rule in expiry.RULES for name in rule.tables} == METADATA.tables.keys()
    assert all(rule.reason and rule.what for rule in expiry.RULES)


def test_the_handbook_has_the_same_table() -> None:
    part = (ROOT / "OPERATING.md").read_text("utf-8").split("## What is kept how long\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")][2:]
    told = [tuple(cell.strip().replace("`", "") for cell in cells) for cells in lines]
    assert told == [(rule.what, span_of(rule, Retention()), rule.setting or "–", rule.reason) for rule in expiry.RULES]


def test_a_dry_run_says_what_the_next_run_drops_and_changes_nothing(bot: Bot, clock: StoppedClock) -> None:
    settled(bot).hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    bot.hear(Inbound("simulated", "M2", STRANGER, f"رمز {ZAHRA['national_id']}"))
    bot.jobs.close_codes()
    bot.jobs.drop_expired_messages()
    for days in (0, 31, 370, 10, 2000):
        clock.forward(days=days)
        bot.jobs.close_codes()
        bot.jobs.drop_expired_messages()
        before = numbers(bot)
        with bot.store.reading() as connection:
            due = expiry.due(connection, clock(), Retention())
        assert numbers(bot) == before
        bot.jobs.forget()
        gone = {name: before[name] - now for name, now in numbers(bot).items() if before[name] != now}
        told: dict[str, int] = {}
        for _, rows in due:
            for name, number in rows.items():
                told[name] = told.get(name, 0) + number
        assert gone == {name: number for name, number in told.items() if number}


def test_rows_go_a_batch_at_a_time(bot: Bot, clock: StoppedClock) -> None:
    with bot.store.writing() as connection:
        for number in range(25):
            inbound_messages.remember(connection, "twilio", f"SM{number}", "help", clock(), answered=True)
    assert expiry.drop(bot.store, clock() + timedelta(days=401), Retention(), batch=10) == 25
    assert numbers(bot)["inbound_message"] == 0


def test_counts_go_with_their_period(bot: Bot, clock: StoppedClock) -> None:
    for years in (0, 3):
        begin = clock() + years * timedelta(days=365)
        counted = {Cell(0, "code", "", "twilio"): Counter({"3": 5})}
        with bot.store.writing() as connection:
            stats_periods.keep(connection, begin, begin + timedelta(days=1), counted, [])
    expiry.drop(bot.store, clock() + timedelta(days=2002), Retention())
    assert (numbers(bot)["stats_period"], numbers(bot)["delivery_stat"]) == (1, 1)


def test_settings_say_how_long(make_bot: MakeBot, clock: StoppedClock) -> None:
    bot = settled(make_bot(KEEP_RECOVERIES_DAYS="30", KEEP_HEARD_DAYS="500"))
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    bot.courier.deliver_due()
    clock.forward(days=31)
    bot.jobs.close_codes()
    bot.jobs.forget()
    assert (numbers(bot)["outbound_message"], numbers(bot)["code"], numbers(bot)["inbound_message"]) == (0, 1, 1)
    clock.forward(days=31)
    bot.jobs.forget()
    assert numbers(bot)["code"] == 0
    clock.forward(days=430)
    bot.jobs.forget()
    assert numbers(bot)["inbound_message"] == 1
    clock.forward(days=10)
    bot.jobs.forget()
    assert numbers(bot)["inbound_message"] == 0


@pytest.mark.parametrize(
    "changes", [{"KEEP_RECOVERIES_DAYS": "29"}, {"KEEP_HEARD_DAYS": "399"}, {"KEEP_FIGURES_DAYS": "x"}]
)
def test_what_would_lose_too_much_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadSettings, match=next(iter(changes))):
        settings(**changes)


def test_no_receipt_has_a_period_counted_again_whose_texts_may_be_gone() -> None:
    assert timedelta(days=30) > LATEST_RECEIPT + timedelta(days=1)


def test_the_command_shows_every_rule(sqlite_url: str) -> None:
    done = typed("retention", "show", DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS, KEEP_RECOVERIES_DAYS="90")
    assert done.exit_code == 0
    assert "90 days: recoveries" in done.stdout and "400 days: ids of texts heard" in done.stdout
    assert done.stdout.count("because") == len(expiry.RULES)
    assert re.search(r"The next run drops 0 rows", done.stdout)
