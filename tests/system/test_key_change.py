"""A key is changed on two live services, by the two steps of OPERATING.md; codes go on being good at both."""

from pathlib import Path

import pytest
from sqlalchemy import select

from store.tables import CloseReason, CodeRow, table
from tests.support.parts import KEYS
from tests.system.test_service import Pilgrim, Service, some
from tests.system.test_several_hosts import hosts

pytestmark = pytest.mark.process

CODE = table(CodeRow)
OLD, NEW = KEYS, "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
NEW_LAST, NEW_FIRST = f"{OLD},{NEW}", f"{NEW},{OLD}"


def ask(pilgrim: Pilgrim, at: Service) -> str:
    assert at.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
    return at.code(pilgrim)


def hand_back(pilgrim: Pilgrim, code: str, at: Service) -> None:
    assert at.text(pilgrim.mobile, code) == 200
    assert at.standin.wait(lambda: len(at.passwords(pilgrim)) == 1), at.printed


def test_codes_are_good_at_both_services_at_every_step(postgresql_url: str, tmp_path: Path) -> None:
    with hosts(postgresql_url, tmp_path) as (one, two):
        people = iter(some(postgresql_url, 16))
        for keys in (NEW_LAST, NEW_FIRST):
            for changed, other in ((one, two), (two, one)):
                before = [(next(people), it) for it in (one, two)]
                codes = [ask(pilgrim, at) for pilgrim, at in before]
                changed.stop()
                changed.more["SECRET_KEYS"] = keys
                changed.start()
                # What was made before is good at the one that has changed, and what it makes now at the other.
                for (pilgrim, _), code in zip(before, codes, strict=True):
                    hand_back(pilgrim, code, changed)
                for maker, taker in ((changed, other), (other, changed)):
                    pilgrim = next(people)
                    hand_back(pilgrim, ask(pilgrim, maker), taker)
        found = one.rows(select(CODE.c.key_id, CODE.c.close_reason, CODE.c.tries_left))
        # Each of them at the first try: nobody was told to send it once more.
        assert {(it.close_reason, it.tries_left) for it in found} == {(CloseReason.USED, 4)}
        assert {it.key_id for it in found} == {"k1", "k2"} and len(found) == 16
        assert [line for it in (one, two) for line in it.troubles] == []
