"""A hundred wrong codes in a row close recovery, over however many codes; staff open it again."""

from io import StringIO

import pytest
from sqlalchemy import select

from bot.build import Bot
from store.tables import AccountRow, table
from tests.conftest import MakeBot
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import ZAHRA, settled
from tests.support.transcript import Player
from webhooks import create_app

ACCOUNT = table(AccountRow)
# As many codes as one likes, with four tries each.
PLENTY = {"CODES_PER_HOUR": "1000", "CODES_PER_DAY": "1000", "RESEND_AFTER_SECONDS": "0", "CODE_TRIES": "4"}


@pytest.fixture
def player(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> Player:
    return Player(settled(make_bot(**PLENTY)), carrier, clock)


def failures(bot: Bot) -> int:
    with bot.store.reading() as connection:
        found = select(ACCOUNT.c.failures).where(ACCOUNT.c.mobile == ZAHRA["mobile"])
        return int(connection.execute(found).scalar_one())


FOUR_WRONG = """
    > رمز 0012345679
    < code
    > {wrong}
    < wrong_code
    > {wrong}
    < wrong_code
    > {wrong}
    < wrong_code
    > {wrong}
    < code_burned
"""


def test_the_hundred_and_first_is_refused_even_when_right(player: Player, printed: StringIO) -> None:
    for _ in range(24):
        player.play(FOUR_WRONG)
    assert "alarm" not in printed.getvalue()
    player.play(FOUR_WRONG.replace("code_burned", "recovery_locked"))
    assert '"alarm": "account_locked"' in printed.getvalue()
    assert 'ramz_alarm_total{alarm="account_locked"} 1.0' in create_app(player.bot).test_client().get("/metrics").text
    assert failures(player.bot) == 100
    player.play("""
        > {code}
        < no_live_code
        > رمز 0012345679
        < neutral
        stranger> رمز 0012345679
        < neutral
        ! unlock zahra
        zahra> رمز 0012345679
        < code
        > {code}
        < new_password
    """)


def test_a_right_code_ends_the_run(player: Player) -> None:
    player.play(FOUR_WRONG)
    assert failures(player.bot) == 4
    player.play("""
        > رمز 0012345679
        < code
        > {code}
        < new_password
    """)
    assert failures(player.bot) == 0


def test_a_code_sent_before_the_account_was_locked_or_moved_is_no_longer_good(player: Player) -> None:
    player.play("> رمز 0012345679\n< code")
    with player.bot.store.writing() as connection:
        moved = ACCOUNT.update().where(ACCOUNT.c.mobile == ZAHRA["mobile"]).values(mobile="+989120000009")
        connection.execute(moved)
    player.play("> {code}\n< no_live_code")
