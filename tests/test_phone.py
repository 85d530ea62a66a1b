"""The phone in the browser: it texts by the carrier's own webhook, and is not there beside a real gateway."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from bot.build import Bot
from bot.gateways.simulated import Simulated
from bot.gateways.twilio import Twilio
from store.engine import Store
from tests.conftest import MakeBot
from tests.parts import LoadedDice, StoppedClock, settings
from tests.people import ZAHRA, settled
from webhooks import create_app


@pytest.fixture
def bot(make_bot: MakeBot, store: Store, clock: StoppedClock, dice: LoadedDice) -> Bot:
    keys = make_bot().keys
    return settled(make_bot(gateways=[Simulated(store, keys, clock, dice)]))


@pytest.fixture
def client(bot: Bot) -> FlaskClient:
    return create_app(bot).test_client()


def texts(bot: Bot, client: FlaskClient, words: str, mobile: str = "09121234567") -> list[str]:
    """What the phone shows, newest first, after it texted."""
    answer = client.post("/phone", data={"from": mobile, "text": words})
    assert answer.status_code == 303
    bot.courier.deliver_due()
    page = client.get(answer.headers["Location"]).get_data(as_text=True)
    return [unescape(found) for found in re.findall(r'<li dir="auto">(.*?)<small>', page, re.DOTALL)]


def test_it_recovers_a_password(bot: Bot, client: FlaskClient) -> None:
    (code,) = texts(bot, client, "رمز 0012345679")
    notice, password, _ = texts(bot, client, re.findall("[0-9]{6}", code)[0])
    assert re.search("^[a-z2-9]{12}$", password, re.MULTILINE)
    assert "تغییر کرد" in notice


def test_it_shows_what_another_phone_caused(bot: Bot, client: FlaskClient) -> None:
    texts(bot, client, "رمز 0012345679", mobile="09300000001")
    page = client.get("/phone", query_string={"from": ZAHRA["mobile"]}).get_data(as_text=True)
    assert "کد فاخر" in page


def test_it_shows_words_as_words(client: FlaskClient) -> None:
    page = client.get("/phone", query_string={"from": "<script>alert(1)</script>"})
    assert "<script>" not in page.get_data(as_text=True)
    assert "Not a mobile number" in page.get_data(as_text=True)
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_it_takes_no_text_from_what_is_no_mobile(client: FlaskClient) -> None:
    answer = client.post("/phone", data={"from": "RAMZ", "text": "رمز"}, follow_redirects=True)
    assert "Not a mobile number" in answer.get_data(as_text=True)


def test_it_is_not_there_beside_a_real_gateway(make_bot: MakeBot) -> None:
    twilio = settings(GATEWAYS="twilio", TWILIO_ACCOUNT_SID="AC1", TWILIO_AUTH_TOKEN="t", TWILIO_SENDER="+982100000")
    client = create_app(make_bot(twilio, gateways=[Twilio(twilio)])).test_client()
    assert client.get("/phone").status_code == 404
    assert client.post("/phone", data={"from": "09121234567", "text": "رمز"}).status_code == 404
