"""Refused calls are counted by door and reason, in every process alike, and cost no write of their own."""

import pytest

from bot.build import Bot
from tests.support.databases import SQLITE_ONLY
from tests.support.people import settled
from webhooks import create_app

CALLS = {
    ("POST", "/webhooks/simulated/sms"): "simulated forbidden",
    ("POST", "/webhooks/simulated/receipts"): "simulated forbidden",
    ("POST", "/api/v1/codes/verify"): "api token",
    ("POST", "/console/code"): None,
    ("GET", "/nowhere"): None,
    ("GET", "/webhooks/nobody/sms"): None,
}


@pytest.mark.parametrize(("call", "expected"), CALLS.items())
@SQLITE_ONLY
def test_a_refused_call_is_counted_at_its_door(bot: Bot, call: tuple[str, str], expected: str | None) -> None:
    client = create_app(settled(bot)).test_client()
    method, path = call
    for _ in range(3):
        client.open(path, method=method, json={"national_id": "1", "code": "1"})
    if expected is not None:
        assert bot.refusals.flush() == 3
    else:
        bot.refusals.flush()
    figures = client.get("/metrics").get_data(as_text=True)
    door, reason = expected.split() if expected else ("", "")
    line = f'ramz_refused_total{{door="{door}",reason="{reason}"}} 3.0'
    assert (line in figures) == (expected is not None)
