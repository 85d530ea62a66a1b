"""Refused calls are counted by door and reason, in every process alike, and cost no write of their own."""

import re
from itertools import product
from typing import Any

import pytest

from bot.build import Bot
from store.service import counters
from tests.support.databases import SQLITE_ONLY
from tests.support.people import settled
from webhooks import LARGEST_BODY, create_app

CALLS = {
    ("POST", "/webhooks/simulated/sms"): "simulated forbidden",
    ("POST", "/webhooks/simulated/receipts"): "simulated forbidden",
    ("POST", "/api/v1/codes/verify"): "api token",
    ("POST", "/console/code"): "console forbidden",
    ("DELETE", "/api/v1/passwords"): "api method",
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
        assert bot.counting.flush() == 6  # each call, and how long it took
    else:
        bot.counting.flush()
    figures = client.get("/metrics").get_data(as_text=True)
    door, reason = expected.split() if expected else ("", "")
    line = f'ramz_refused_total{{door="{door}",reason="{reason}"}} 3.0'
    assert (line in figures) == (expected is not None)


BODIES: list[dict[str, Any]] = [
    {},
    {"data": b"\xff" * 10},
    {"data": b"x" * (LARGEST_BODY + 1)},
    {"json": {"national_id": "1", "code": "1"}},
    {"data": "{", "content_type": "application/json", "headers": {"Authorization": "Bearer x"}},
    {"data": {"mobile": "1", "proof": "x"}, "headers": {"Cookie": "ramz-console-form=y"}},
]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_whatever_is_refused_at_a_door_is_counted_just_once(bot: Bot) -> None:
    """Every route, by every method, with what can be wrong about a call: each refusal is one more of some reason."""
    app = create_app(settled(bot))
    client, refused = app.test_client(), 0
    paths = {re.sub("<[^>]*>", "x", rule.rule) for rule in app.url_map.iter_rules()}
    for path, method, body in product(sorted(paths), ("GET", "POST", "PUT"), BODIES):
        if not path.startswith(("/webhooks/", "/api/", "/console")):
            continue
        status = client.open(path, method=method, **body).status_code
        is_refused = 400 <= status < 500 and status != 404
        refused += is_refused
        assert _refused(bot) == refused, (path, method, body, status)
    assert refused > 100


def _refused(bot: Bot) -> int:
    bot.counting.flush()
    with bot.store.reading() as connection:
        return sum(number for (name, _), number in counters.every(connection).items() if name == "refused")
