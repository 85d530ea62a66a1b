"""Where the world knocks: what is answered to providers and to the operator, on both databases."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from bot.build import Bot, build
from bot.gateways.twilio import Twilio
from bot.platform.http_client import READ_SECONDS, HttpClient
from bot.platform.version import VERSION
from dialogs.vocabulary import Event
from store import outbound_messages, webhook_events
from store.database.engine import Store
from store.tables import DeliveryStatus, InboundMessageRow, OutboundMessageRow, table
from store.webhook_events import NewEvent
from tests.providers import twilio_standin
from tests.providers.twilio_standin import (
    ACCOUNT,
    PUBLIC_URL,
    SENDER,
    SIGNATURE,
    TOKEN,
    TwilioStandIn,
    receipt_form,
    settings_at,
    sign,
    text_form,
)
from tests.support.databases import Fresh
from tests.support.parts import CHEAP, LoadedRandomSource, StoppedClock, eventually, settings
from tests.support.people import STRANGER, ZAHRA, settled
from tests.support.places import ROOT
from webhooks import create_app

INBOUND, MESSAGE = table(InboundMessageRow), table(OutboundMessageRow)
SMS, RECEIPTS = "/webhooks/twilio/sms", "/webhooks/twilio/receipts"
SID, OTHER_SID = f"SM{1:032x}", f"MM{2:032x}"
REQUEST = "رمز 0012345679"
EMPTY_RESPONSE = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


class Twilios:
    """A bot on Twilio, and Twilio's side of it."""

    def __init__(self, bot: Bot, standin: TwilioStandIn) -> None:
        self.bot, self.standin = bot, standin
        self.client: FlaskClient = create_app(bot).test_client()

    def text(self, sender: str, words: str, sid: str | None = None, **changes: str) -> TestResponse:
        return self.post(SMS, text_form(sender, words, sid, **changes))

    def receipt(self, sid: str, status: str, ref: int | str | None = None, **changes: str) -> TestResponse:
        query = "" if ref is None else f"?ref={ref}"
        return self.post(RECEIPTS + query, receipt_form(sid, status, **changes))

    def post(self, path: str, form: dict[str, str], **options: Any) -> TestResponse:
        """A call as Twilio makes it; `headers` in `options` come besides the signature."""
        headers = {SIGNATURE: sign(TOKEN, PUBLIC_URL + path, form), **options.pop("headers", {})}
        return self.client.post(path, data=form, headers=headers, **options)

    def raw(self, body: bytes, content_type: str, form: dict[str, str] | None = None, path: str = SMS) -> TestResponse:
        """A body of any kind, under a signature over this form."""
        headers = {SIGNATURE: sign(TOKEN, PUBLIC_URL + path, form or {})}
        return self.client.post(path, data=body, content_type=content_type, headers=headers)

    def heard(self) -> list[tuple[str, str]]:
        """Every text that had an effect: its id and what it was taken for."""
        return self._rows(select(INBOUND.c.provider_id, INBOUND.c.event).order_by(INBOUND.c.received_at))

    def texts(self) -> list[Any]:
        """The outbox, in the order of writing."""
        return self._rows(select(MESSAGE).order_by(MESSAGE.c.id))

    def _rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement).all())

    def code(self) -> Any:
        """A code, sent: its row."""
        assert self.text(ZAHRA["mobile"], REQUEST).status_code == 200
        self.bot.courier.deliver_due()
        return self.texts()[-1]


@pytest.fixture
def standin() -> Iterator[TwilioStandIn]:
    with TwilioStandIn() as standin:
        yield standin


@contextmanager
def running(
    standin: TwilioStandIn, store: Store, clock: StoppedClock, random_source: LoadedRandomSource
) -> Iterator[Twilios]:
    found = settings(**settings_at(standin.url))
    http = HttpClient()
    gateway = Twilio(found, http)
    bot = build(found, clock=clock, random_source=random_source, gateways=[gateway], store=store, cost=CHEAP)
    try:
        yield Twilios(bot, standin)
    finally:
        standin.mend()
        if bot.courier.is_alive():
            bot.stop()
        store.close()
        http.close()


@pytest.fixture
def twilio(
    standin: TwilioStandIn, store: Store, clock: StoppedClock, random_source: LoadedRandomSource
) -> Iterator[Twilios]:
    """A bot that knows everybody, on a database of its own."""
    with running(standin, store, clock, random_source) as twilio:
        settled(twilio.bot)
        yield twilio


# One database: what is refused is refused before it is asked.
@pytest.fixture(scope="module", params=["sqlite"])
def untouched(request: pytest.FixtureRequest) -> Iterator[Twilios]:
    """A bot for all the tests after which nothing may have happened."""
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    with TwilioStandIn() as standin, running(standin, Store(fresh()), StoppedClock(), LoadedRandomSource()) as twilio:
        settled(twilio.bot)
        yield twilio
        assert (twilio.heard(), twilio.texts()) == ([], [])


STRANGE = (
    "",
    " \n\t ",
    "\x00",
    "رمز\x00 0012345679\x00",
    "\x1b[31m\r\nSet-Cookie: x",
    "\ufffe\uffff\u202e\u200f",
    "🕋" * 800,
    "0" * 1600,
    "1" * 20_000,
    "' OR 1=1; DROP TABLE account; --",
    "{code} {0} %s %(x)s",
    "<script>alert(1)</script>",
    "e\u0301" * 500 + "\u0f73" * 100,
    "٠٠١٢٣٤٥٦٧٩" * 20,
)


class TestATextThatComesIn:
    def test_it_is_answered_with_an_empty_response(self, twilio: Twilios) -> None:
        answer = twilio.text(ZAHRA["mobile"], REQUEST)
        assert answer.status_code == 200
        assert answer.mimetype == "text/xml"
        assert answer.data == EMPTY_RESPONSE

    def test_it_is_committed_before_it_is_answered(self, twilio: Twilios) -> None:
        twilio.text(ZAHRA["mobile"], REQUEST, SID)
        assert twilio.heard() == [(SID, Event.ASKED)]
        (text,) = twilio.texts()
        assert (text.phone, text.phrase, text.status) == (ZAHRA["mobile"], "code", DeliveryStatus.QUEUED)

    def test_it_is_answered_by_a_text_over_the_api(self, twilio: Twilios) -> None:
        twilio.code()
        (words,) = twilio.standin.texts_to(ZAHRA["mobile"])
        assert "100001" in words

    def test_it_recovers_a_password_in_two_texts(self, twilio: Twilios) -> None:
        twilio.code()
        twilio.text(ZAHRA["mobile"], "100001")
        twilio.bot.courier.deliver_due()
        assert [text.phrase for text in twilio.texts()] == ["code", "new_password"]
        assert len(twilio.standin.texts_to(ZAHRA["mobile"])) == 2

    def test_it_has_one_effect_however_often_it_comes(self, twilio: Twilios) -> None:
        answers = [twilio.text(ZAHRA["mobile"], REQUEST, SID) for _ in range(3)]
        assert {(answer.status_code, answer.data) for answer in answers} == {(200, EMPTY_RESPONSE)}
        assert len(twilio.texts()) == 1

    def test_it_has_one_effect_when_it_comes_often_at_once(self, twilio: Twilios) -> None:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: twilio.text(ZAHRA["mobile"], REQUEST, SID).status_code, range(20)))
        assert set(answers) == {200}
        assert (len(twilio.heard()), len(twilio.texts())) == (1, 1)

    def test_many_at_once_from_one_phone_are_all_heard(self, twilio: Twilios) -> None:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: twilio.text(ZAHRA["mobile"], REQUEST).status_code, range(20)))
        assert set(answers) == {200}
        assert len(twilio.heard()) == 20
        assert [text.phrase for text in twilio.texts()].count("code") == 1

    def test_many_phones_that_ask_for_one_account_at_once_are_all_heard(self, twilio: Twilios) -> None:
        phone_numbers = [f"+98930000{number:04d}" for number in range(20)]
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda phone: twilio.text(phone, REQUEST).status_code, phone_numbers))
        assert set(answers) == {200}
        assert len(twilio.heard()) == 20
        assert [text.phrase for text in twilio.texts()].count("code") == 1

    def test_fields_that_nobody_knows_yet_do_not_matter(self, twilio: Twilios) -> None:
        answer = twilio.text(ZAHRA["mobile"], REQUEST, NewField="x", رشته="ی", Empty="", RcsAgent="{}")
        assert answer.status_code == 200
        assert [text.phrase for text in twilio.texts()] == ["code"]

    def test_the_host_header_decides_nothing(self, twilio: Twilios) -> None:
        for host in ("evil.example", "ramz.example.ir:99999", "127.0.0.1:8000", "[::1", ""):
            headers = {"Host": host, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
            assert twilio.post(SMS, text_form(ZAHRA["mobile"], REQUEST), headers=headers).status_code == 200
        assert len(twilio.heard()) == 5

    def test_what_was_signed_for_the_host_header_is_refused(self, twilio: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST)
        headers = {"Host": "evil.example", SIGNATURE: sign(TOKEN, f"https://evil.example{SMS}", form)}
        assert twilio.client.post(SMS, data=form, headers=headers).status_code == 403

    def test_a_query_that_was_signed_does_not_matter(self, twilio: Twilios) -> None:
        for number, query in enumerate(["?a=1", "?", "?a=%D8%B1&b=+%20", "?a=1&a=2", "?%ff=%00"], start=1):
            form = text_form(ZAHRA["mobile"], REQUEST)
            signed = sign(TOKEN, f"{PUBLIC_URL}{SMS}{query if query != '?' else ''}", form)
            assert twilio.client.post(SMS + query, data=form, headers={SIGNATURE: signed}).status_code == 200
            assert len(twilio.heard()) == number

    def test_a_port_in_the_signed_address_does_not_matter(self, twilio: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST)
        signed = sign(TOKEN, f"{PUBLIC_URL}:443{SMS}", form)
        assert twilio.client.post(SMS, data=form, headers={SIGNATURE: signed}).status_code == 200

    def test_any_text_is_taken(self, twilio: Twilios) -> None:
        for number, words in enumerate(STRANGE):
            assert twilio.text(ZAHRA["mobile"], words, f"SM{number:032x}").status_code == 200
            assert len(twilio.heard()) == number + 1

    def test_a_text_with_a_picture_is_taken(self, twilio: Twilios) -> None:
        media = {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/x", "MediaContentType0": "image/jpeg"}
        assert twilio.text(ZAHRA["mobile"], "", SID, **media).status_code == 200
        assert [sid for sid, _ in twilio.heard()] == [SID]

    @pytest.mark.parametrize(
        "sender",
        [
            "FAKHER",
            "98300",
            "12",
            "+982112345678",
            "+14158675309",
            "+966512345678",
            SENDER,
            "whatsapp:+989121234567",
            "+98912CALLNOW",
            "anonymous",
            "+989121234567;ext=5",
            "\x00",
            "+98912\x001234567",
        ],
    )
    def test_nothing_is_said_to_names_short_numbers_other_countries_and_ourselves(
        self, untouched: Twilios, sender: str
    ) -> None:
        for words in (REQUEST, "HELP", "STOP", "?"):
            answer = untouched.text(sender, words)
            assert (answer.status_code, answer.data) == (200, EMPTY_RESPONSE)
        assert (untouched.heard(), untouched.texts()) == ([], [])

    def test_an_unknown_number_gets_the_neutral_reply(self, twilio: Twilios) -> None:
        assert twilio.text(STRANGER, "رمز 9401758263").status_code == 200
        assert [(text.phone, text.phrase) for text in twilio.texts()] == [(STRANGER, "neutral")]


class TestWhatIsRefused:
    @pytest.mark.parametrize("path", [SMS, RECEIPTS])
    @pytest.mark.parametrize("signature", [None, "", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "\xff\xfe"])
    def test_a_call_without_a_right_signature(self, untouched: Twilios, path: str, signature: str | None) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST) if path == SMS else receipt_form(SID, "delivered")
        headers = {} if signature is None else {SIGNATURE: signature}
        assert untouched.client.post(path, data=form, headers=headers).status_code == 403
        assert (untouched.heard(), untouched.texts()) == ([], [])

    def test_a_form_that_was_tampered_with(self, untouched: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST)
        headers = {SIGNATURE: sign(TOKEN, PUBLIC_URL + SMS, form)}
        for change in ({"From": STRANGER}, {"Body": "STOP"}, {"MessageSid": OTHER_SID}, {"more": ""}):
            tampered = form | change
            assert untouched.client.post(SMS, data=tampered, headers=headers).status_code == 403
        assert untouched.heard() == []

    def test_a_receipt_with_another_query_than_was_signed(self, twilio: Twilios) -> None:
        text = twilio.code()
        form = receipt_form(SID, "failed")
        headers = {SIGNATURE: sign(TOKEN, f"{PUBLIC_URL}{RECEIPTS}?ref=999", form)}
        answer = twilio.client.post(f"{RECEIPTS}?ref={text.id}", data=form, headers=headers)
        assert answer.status_code == 403
        assert twilio.texts()[0].status == DeliveryStatus.ACCEPTED

    def test_a_call_signed_for_the_other_path(self, untouched: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST)
        headers = {SIGNATURE: sign(TOKEN, PUBLIC_URL + RECEIPTS, form)}
        assert untouched.client.post(SMS, data=form, headers=headers).status_code == 403

    @pytest.mark.parametrize("lacking", ["From", "MessageSid"])
    def test_a_text_without_sender_or_id(self, untouched: Twilios, lacking: str) -> None:
        whole = text_form(ZAHRA["mobile"], REQUEST)
        without = {name: value for name, value in whole.items() if name != lacking}
        for form in (without, {**whole, lacking: ""}):
            assert untouched.post(SMS, form).status_code == 400
        assert (untouched.heard(), untouched.texts()) == ([], [])

    def test_a_receipt_without_an_id(self, untouched: Twilios) -> None:
        assert untouched.post(RECEIPTS, {"MessageStatus": "delivered"}).status_code == 400

    @pytest.mark.parametrize("sid", ["S" * 65, "SM\x001", "\x00"])
    def test_an_id_that_can_not_be_kept(self, untouched: Twilios, sid: str) -> None:
        assert untouched.text(ZAHRA["mobile"], REQUEST, sid).status_code == 400
        assert untouched.receipt(sid, "delivered").status_code == 400

    @pytest.mark.parametrize("sid", ["SM1", "CA" + "0" * 32, "SM" + "0" * 31, "SM" + "g" * 32, f" {SID}", f"{SID}\n"])
    def test_an_id_that_is_not_twilios(self, untouched: Twilios, sid: str) -> None:
        assert untouched.text(ZAHRA["mobile"], REQUEST, sid).status_code == 400
        assert (untouched.heard(), untouched.texts()) == ([], [])

    @pytest.mark.parametrize("end", ["Rest", "RestRest"])
    def test_a_text_that_holds_another_call_is_never_cut_into_it(self, twilio: Twilios, end: str) -> None:
        """Whoever texts a form's own words, and sees the call that Twilio makes of it, could else be anybody."""
        forged = {"From": ZAHRA["mobile"], "MessageSid": OTHER_SID}
        inner = REQUEST + "".join(name + value for name, value in forged.items()) + end
        whole = text_form(STRANGER, inner, SID)
        kept = {name: value for name, value in whole.items() if name < "Body"}
        signed = "".join(name + whole[name] for name in sorted(whole))
        rest = signed.partition(end)[2]
        # A name that comes twice is signed with both values, of which one may be empty.
        cut = {**kept, "Body": REQUEST, **forged, "Rest": rest if end == "Rest" else ["", rest]}
        headers = {SIGNATURE: sign(TOKEN, PUBLIC_URL + SMS, whole)}
        assert twilio.client.post(SMS, data=cut, headers=headers).status_code == 400
        assert twilio.heard() == []
        assert twilio.texts() == []

    def test_a_captured_call_has_no_second_effect_however_its_form_is_cut(self, twilio: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST, SID)
        signature = sign(TOKEN, PUBLIC_URL + SMS, form)
        assert twilio.post(SMS, form).status_code == 200
        effects = (twilio.heard(), len(twilio.texts()))
        names = sorted(form)
        for first in range(len(names)):
            for after in range(first + 2, len(names) + 1):
                # The fields from `first` on run together into one, or into one of another name.
                run = "".join(name + form[name] for name in names[first:after])
                kept = {name: form[name] for name in names[:first] + names[after:]}
                for length in {len(names[first]), 2, len(run) // 2}:
                    cut = {**kept, run[:length]: run[length:]}
                    if sign(TOKEN, PUBLIC_URL + SMS, cut) == signature:
                        assert twilio.post(SMS, cut).status_code in (200, 400)
        assert (twilio.heard(), len(twilio.texts())) == effects

    @pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
    def test_a_body_too_large(self, untouched: Twilios, size: int) -> None:
        form = text_form(ZAHRA["mobile"], "x" * size)
        assert untouched.post(SMS, form).status_code == 413
        assert untouched.post(RECEIPTS, form).status_code == 413
        boundary = b'--b\r\nContent-Disposition: form-data; name="Body"\r\n\r\n' + b"x" * size + b"\r\n--b--"
        assert untouched.raw(boundary, "multipart/form-data; boundary=b").status_code == 413
        assert untouched.heard() == []

    @pytest.mark.parametrize("path", [SMS, RECEIPTS])
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    def test_another_method(self, untouched: Twilios, path: str, method: str) -> None:
        assert untouched.client.open(path, method=method).status_code == 405

    @pytest.mark.parametrize(
        "path",
        [
            "/webhooks/kannel/sms",
            "/webhooks/simulated/sms",
            "/webhooks/twilio",
            SMS + "/",
            "/phone",
            "/%00",
            "/%ff",
        ],
    )
    def test_an_address_that_is_not_there(self, untouched: Twilios, path: str) -> None:
        assert untouched.client.post(path, data=text_form(ZAHRA["mobile"], REQUEST)).status_code == 404

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", ""),
            (b"", "application/x-www-form-urlencoded"),
            (b"\x00\xff\xfe\x80" * 200, "application/octet-stream"),
            (b"\x00\xff\xfe\x80" * 200, "application/x-www-form-urlencoded"),
            (json.dumps({"From": ZAHRA["mobile"], "MessageSid": SID, "Body": REQUEST}).encode(), "application/json"),
            (b"{", "application/json"),
            (b"From=%2B989121234567&MessageSid=SM1", "text/plain"),
            (b"--x\r\nnot a part", "multipart/form-data; boundary=x"),
            (b"From=1", "multipart/form-data"),
            (b"From=1", "multipart/form-data; boundary="),
            (b"&".join(b"a%d=1" % number for number in range(5000)), "application/x-www-form-urlencoded"),
            (b"=&=&&==&%", "application/x-www-form-urlencoded"),
            (b"From", 'application/x-www-form-urlencoded; charset="utf-16"'),
        ],
        ids=range(13),
    )
    def test_a_body_of_another_kind(self, untouched: Twilios, body: bytes, content_type: str) -> None:
        for path in (SMS, RECEIPTS):
            assert untouched.raw(body, content_type, path=path).status_code in (400, 403, 413)
            assert untouched.client.post(path, data=body, content_type=content_type).status_code in (400, 403, 413)
        assert untouched.heard() == []

    @pytest.mark.parametrize("name", ["From", "Body", "MessageSid", "To"])
    def test_bytes_that_are_not_utf_8_cost_no_more_than_their_text(self, twilio: Twilios, name: str) -> None:
        form = {"From": ZAHRA["mobile"], "Body": REQUEST, "MessageSid": SID, "To": SENDER}
        parts = [f"{each}={quote(value)}" for each, value in form.items() if each != name]
        body = "&".join([*parts, f"{name}=%ff%fe%80"]).encode()
        seen = {**form, name: "%FF%FE%80"}  # as the server reads it
        answers = {twilio.raw(body, "application/x-www-form-urlencoded", signed).status_code for signed in (form, seen)}
        assert answers <= {200, 400, 403}

    def test_no_page_shows_what_was_sent(self, twilio: Twilios) -> None:
        form = text_form(ZAHRA["mobile"], REQUEST)
        pages = [
            twilio.client.post(SMS, data=form),
            twilio.client.get(SMS, query_string=form),
            twilio.client.post("/webhooks/0012345679/sms", data=form),
            twilio.post(SMS, {**form, "From": ""}),
            twilio.text(ZAHRA["mobile"], REQUEST),
        ]
        for page in pages:
            for secret in (b"0012345679", b"9121234567", "رمز".encode()):
                assert secret not in page.data


class TestWhileTheProviderIsInTrouble:
    @pytest.mark.parametrize(
        "trouble", [twilio_standin.Hang(), twilio_standin.SERVER_ERROR, twilio_standin.Cut()], ids=repr
    )
    def test_texts_are_answered_in_time_all_the_same(self, twilio: Twilios, trouble: twilio_standin.Trouble) -> None:
        twilio.standin.trouble(trouble, None)
        twilio.bot.start()
        spans = []
        for number in range(20):  # more than there are senders
            began = time.monotonic()
            assert twilio.text(f"+98930000{number:04d}", "HELP").status_code == 200
            spans.append(time.monotonic() - began)
        assert median(spans) < 2
        assert max(spans) < READ_SECONDS
        assert twilio.standin.wait(lambda: len(twilio.standin.calls) >= 8)
        began = time.monotonic()
        assert twilio.receipt(SID, "delivered").status_code == 204
        assert twilio.client.get("/healthz").status_code == 200
        assert time.monotonic() - began < READ_SECONDS


class TestReceipts:
    def status(self, twilio: Twilios) -> DeliveryStatus:
        return DeliveryStatus(twilio.texts()[0].status)

    def test_they_tell_how_far_a_text_has_come(self, twilio: Twilios) -> None:
        text = twilio.code()
        steps = [
            ("queued", DeliveryStatus.ACCEPTED),
            ("sending", DeliveryStatus.SENDING),
            ("sent", DeliveryStatus.SENT),
            ("delivered", DeliveryStatus.DELIVERED),
        ]
        for told, status in steps:
            answer = twilio.receipt(text.provider_id, told, text.id)
            assert (answer.status_code, answer.data) == (204, b"")
            assert self.status(twilio) is status

    def test_they_may_come_out_of_order(self, twilio: Twilios) -> None:
        text = twilio.code()
        for status in ("delivered", "sent", "sending", "queued", "accepted"):
            assert twilio.receipt(text.provider_id, status, text.id).status_code == 204
            assert self.status(twilio) is DeliveryStatus.DELIVERED

    def test_a_final_one_is_final(self, twilio: Twilios, clock: StoppedClock) -> None:
        text = twilio.code()
        twilio.receipt(text.provider_id, "undelivered", ErrorCode="30003")
        ended = twilio.texts()[0].ended_at
        clock.forward(seconds=5)
        twilio.receipt(text.provider_id, "delivered")
        twilio.receipt(text.provider_id, "failed", ErrorCode="30005")
        found = twilio.texts()[0]
        assert (found.status, found.error, found.ended_at) == (DeliveryStatus.FAILED, "unreachable", ended)

    def test_they_may_come_twice(self, twilio: Twilios, clock: StoppedClock) -> None:
        text = twilio.code()
        for _ in range(2):
            assert twilio.receipt(text.provider_id, "sent").status_code == 204
            assert twilio.texts()[0].sent_at == text.accepted_at
            clock.forward(seconds=5)

    def test_they_may_come_at_once(self, twilio: Twilios) -> None:
        text = twilio.code()
        statuses = ["queued", "sending", "sent", "delivered"] * 5
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda status: twilio.receipt(text.provider_id, status).status_code, statuses))
        assert set(answers) == {204}
        assert self.status(twilio) is DeliveryStatus.DELIVERED

    def test_they_may_come_before_we_know_the_texts_name(self, twilio: Twilios) -> None:
        twilio.text(ZAHRA["mobile"], REQUEST)
        (text,) = twilio.texts()
        early: list[int] = []

        class Eager:
            """A provider that calls back before it has answered."""

            name = "twilio"
            heard = noted = twilio.bot.gateways["twilio"].heard

            def send(self, sent: Any) -> str:
                early.append(twilio.receipt("SM-early", "delivered", sent.ref).status_code)
                return "SM-early"

        eager: Any = Eager()
        second = build(twilio.bot.settings, clock=twilio.bot.clock, gateways=[eager], store=twilio.bot.store)
        second.courier.deliver_due()
        found = twilio.texts()[0]
        assert early == [204]
        assert (found.status, found.provider_id, found.secret) == (DeliveryStatus.DELIVERED, "SM-early", None)
        assert found.accepted_at is not None and found.ended_at is not None
        assert text.status == DeliveryStatus.QUEUED

    def test_an_early_one_erases_the_secret_and_stops_the_sending(self, twilio: Twilios) -> None:
        twilio.text(ZAHRA["mobile"], REQUEST)
        (text,) = twilio.texts()
        assert text.secret is not None
        with twilio.bot.store.writing() as connection:  # it is in a sender's hands
            outbound_messages.claim(connection, text.created_at, 1, timedelta(seconds=30))
        assert twilio.receipt(SID, "sent", text.id).status_code == 204
        (found,) = twilio.texts()
        assert (found.status, found.secret) == (DeliveryStatus.SENT, None)
        assert twilio.bot.courier.deliver_due() == 0

    def test_one_for_another_copy_does_not_move_a_text_whose_name_is_known(self, twilio: Twilios) -> None:
        text = twilio.code()
        assert twilio.receipt("SM-another", "undelivered", text.id).status_code == 204
        assert self.status(twilio) is DeliveryStatus.ACCEPTED

    def test_one_that_comes_late_finds_its_text(self, twilio: Twilios, clock: StoppedClock) -> None:
        text = twilio.code()
        clock.forward(days=3)
        assert twilio.receipt(text.provider_id, "delivered").status_code == 204
        assert self.status(twilio) is DeliveryStatus.DELIVERED

    def test_one_for_nobodys_text_is_taken_and_does_nothing(self, twilio: Twilios) -> None:
        text = twilio.code()
        for ref in (None, "", "0", "999", "-1", "x", "%00", 2**31 - 1, 2**31, 10**11, 10**16, 10**40):
            assert twilio.receipt("SM-unknown", "delivered", ref).status_code == 204, f"ref={ref}"
            assert twilio.texts() == [text]

    @pytest.mark.parametrize("error", ["", "x" * 500, "30\x0003"])
    def test_any_reason_is_taken(self, twilio: Twilios, error: str) -> None:
        text = twilio.code()
        assert twilio.receipt(text.provider_id, "failed", ErrorCode=error).status_code == 204
        assert self.status(twilio) is DeliveryStatus.FAILED

    def test_a_status_that_nobody_knows_changes_nothing(self, twilio: Twilios) -> None:
        text = twilio.code()
        for status in ("", "dreaming", "\x00"):
            assert twilio.receipt(text.provider_id, status).status_code == 204
            assert twilio.texts() == [text]


@contextmanager
def gone(url: str) -> Iterator[None]:
    """A database out of reach for a while: a SQLite file that can't be opened, a PostgreSQL that lets nobody in."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        moved = path.rename(path.with_suffix(".moved"))
        path.mkdir()
        yield
        path.rmdir()
        moved.rename(path)
        return
    found = make_url(url)
    admin = found.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{found.database}" ALLOW_CONNECTIONS false'.encode())
        cut_off(connection, found.database)
        yield
        connection.execute(f'ALTER DATABASE "{found.database}" ALLOW_CONNECTIONS true'.encode())


def cut_off(admin: "psycopg.Connection[Any]", database: str | None) -> None:
    """End every connection to a database from the server's side."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    admin.execute(ended, [database])


class AnswerLost(Store):
    """A store whose connection breaks once, just after the commit and before its answer arrives."""

    broken = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            yield connection
        if self.broken:
            self.broken = False
            raise OperationalError("COMMIT", {}, Exception("cut off"), connection_invalidated=True)


class TestWhileTheDatabaseIsOutOfReach:
    def test_it_asks_to_be_called_again_and_then_loses_nothing(
        self, twilio: Twilios, database_url: str, printed: StringIO
    ) -> None:
        twilio.bot.store.close()
        with gone(database_url):
            for answer in (twilio.text(ZAHRA["mobile"], REQUEST, SID), twilio.receipt(OTHER_SID, "sent")):
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
        assert printed.getvalue().count('"database_out_of_reach"') == 2
        assert "request_broken" not in printed.getvalue()
        assert twilio.text(ZAHRA["mobile"], REQUEST, SID).status_code == 200
        assert twilio.receipt(OTHER_SID, "sent").status_code == 204
        assert twilio.heard() == [(SID, Event.ASKED)]

    def test_it_still_refuses_what_is_not_signed(self, twilio: Twilios, database_url: str) -> None:
        twilio.bot.store.close()
        with gone(database_url):
            assert twilio.client.post(SMS, data=text_form(ZAHRA["mobile"], REQUEST)).status_code == 403

    def test_a_text_costs_no_more_when_its_connection_was_cut(
        self, standin: TwilioStandIn, postgresql_url: str, clock: StoppedClock
    ) -> None:
        store = Store(postgresql_url)
        found = settings(**settings_at(standin.url))
        bot = settled(build(found, clock=clock, gateways=[Twilio(found, HttpClient())], store=store))
        twilio = Twilios(bot, standin)
        url = make_url(postgresql_url)
        admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(admin, autocommit=True) as connection:
            cut_off(connection, url.database)
            assert twilio.text(ZAHRA["mobile"], REQUEST, SID).status_code == 200
            cut_off(connection, url.database)
            assert twilio.receipt(OTHER_SID, "sent").status_code in (204, 503)
            assert twilio.receipt(OTHER_SID, "sent").status_code == 204
        assert twilio.heard() == [(SID, Event.ASKED)]
        store.close()

    def test_a_commit_whose_answer_was_lost_counts_once(
        self, standin: TwilioStandIn, database_url: str, clock: StoppedClock, random_source: LoadedRandomSource
    ) -> None:
        store = AnswerLost(database_url)
        found = settings(**settings_at(standin.url))
        bot = settled(
            build(found, clock=clock, random_source=random_source, gateways=[Twilio(found, HttpClient())], store=store)
        )
        twilio = Twilios(bot, standin)
        store.broken = True
        assert twilio.text(ZAHRA["mobile"], REQUEST, SID).status_code == 200
        assert twilio.heard() == [(SID, Event.ASKED)]
        assert [text.phrase for text in twilio.texts()] == ["code"]
        store.close()

    def test_a_database_that_was_not_migrated_is_answered_so_too_and_called_an_error(
        self, standin: TwilioStandIn, empty_url: str, clock: StoppedClock, printed: StringIO
    ) -> None:
        store = Store(empty_url)
        found = settings(**settings_at(standin.url))
        twilio = Twilios(build(found, clock=clock, gateways=[Twilio(found, HttpClient())], store=store), standin)
        assert twilio.text(ZAHRA["mobile"], REQUEST).status_code == 503
        assert twilio.receipt(SID, "sent").status_code == 503
        assert '"request_broken"' in printed.getvalue()
        assert "database_out_of_reach" not in printed.getvalue()
        assert twilio.client.get("/metrics").status_code == 200
        store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    fresh: Fresh = request.getfixturevalue("fresh_postgresql")
    url = fresh()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


class TestHealth:
    def ready(self, twilio: Twilios) -> tuple[int, list[str]]:
        answer = twilio.client.get("/readyz")
        body = answer.get_json()
        assert body["ready"] is (answer.status_code == 200)
        return answer.status_code, body["wrong"]

    def test_it_is_alive_whatever_else_is_wrong(self, twilio: Twilios, database_url: str) -> None:
        twilio.bot.store.close()
        with gone(database_url):
            assert twilio.client.get("/healthz").status_code == 200

    def test_it_tells_the_release_wherever_an_operator_looks(self, twilio: Twilios) -> None:
        assert twilio.client.get("/readyz").get_json()["version"] == VERSION
        assert f'ramz_build_info{{version="{VERSION}"}} 1.0' in twilio.client.get("/metrics").text
        assert f"## {VERSION} · 20" in (ROOT / "CHANGELOG.md").read_text("utf-8")

    def test_it_is_ready_once_it_is_started(self, twilio: Twilios) -> None:
        status, wrong = self.ready(twilio)
        assert status == 503 and any("courier" in fault for fault in wrong)
        twilio.bot.start()
        assert self.ready(twilio) == (200, [])

    def test_it_is_not_ready_after_it_was_stopped(self, twilio: Twilios) -> None:
        twilio.bot.start()
        twilio.bot.stop()
        status, wrong = self.ready(twilio)
        assert status == 503 and any("courier" in fault for fault in wrong)

    def test_it_is_not_ready_without_a_heartbeat(self, twilio: Twilios, clock: StoppedClock) -> None:
        status, wrong = self.ready(twilio)
        assert status == 503 and any("heartbeat" in fault for fault in wrong)
        twilio.bot.start()
        clock.forward(seconds=59)
        assert self.ready(twilio) == (200, [])
        clock.forward(seconds=2)
        status, wrong = self.ready(twilio)
        assert status == 503 and any("heartbeat" in fault for fault in wrong)
        twilio.bot.jobs.beat()
        assert self.ready(twilio) == (200, [])

    def test_it_is_not_ready_while_a_text_has_waited_for_long(self, twilio: Twilios, clock: StoppedClock) -> None:
        twilio.standin.trouble(twilio_standin.SERVER_ERROR, None)
        twilio.bot.start()
        twilio.text(ZAHRA["mobile"], REQUEST)
        assert eventually(lambda: twilio.texts()[0].error is not None)
        clock.forward(seconds=61)
        twilio.bot.jobs.beat()
        status, wrong = self.ready(twilio)
        assert status == 503 and any("waited" in fault for fault in wrong)
        twilio.standin.mend()
        assert eventually(lambda: later(clock) and self.ready(twilio) == (200, []))

    def test_it_is_not_ready_while_the_database_is_out_of_reach(self, twilio: Twilios, database_url: str) -> None:
        twilio.bot.store.close()
        with gone(database_url):
            status, wrong = self.ready(twilio)
        assert status == 503 and any("database" in fault for fault in wrong)

    def test_it_is_not_ready_before_the_database_was_migrated(
        self, standin: TwilioStandIn, empty_url: str, clock: StoppedClock
    ) -> None:
        store = Store(empty_url)
        found = settings(**settings_at(standin.url))
        twilio = Twilios(build(found, clock=clock, gateways=[Twilio(found, HttpClient())], store=store), standin)
        status, wrong = self.ready(twilio)
        assert status == 503 and any("database" in fault for fault in wrong)
        store.close()

    def figures(self, twilio: Twilios) -> dict[tuple[str, str], float]:
        answer = twilio.client.get("/metrics")
        assert answer.status_code == 200
        families = list(text_string_to_metric_families(answer.text))
        assert all(family.documentation for family in families)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, ",".join(sample.labels.values())): sample.value for sample in samples}

    def test_its_figures_can_be_parsed_and_are_right(self, twilio: Twilios, clock: StoppedClock) -> None:
        twilio.code()
        twilio.text(STRANGER, "رمز 9401758263")
        clock.forward(seconds=3)
        with twilio.bot.store.writing() as connection:
            webhook_events.queue(connection, NewEvent("e1", "password.changed", 1, clock()))
        clock.forward(seconds=4)
        twilio.bot.jobs.beat()
        clock.forward(seconds=3)
        figures = self.figures(twilio)
        assert figures["ramz_up", ""] == 1
        assert figures["ramz_texts", "accepted"] == 1
        assert figures["ramz_texts", "queued"] == 1
        assert figures["ramz_oldest_unsent_seconds", ""] == 10
        assert figures["ramz_oldest_untold_event_seconds", ""] == 7
        assert figures["ramz_oldest_unsealed_row_seconds", ""] == 10
        assert figures["ramz_job_age_seconds", "heartbeat"] == 3
        twilio.bot.audit_chain.seal_due()
        assert self.figures(twilio)["ramz_oldest_unsealed_row_seconds", ""] == 0

    def test_its_figures_say_when_the_database_is_out_of_reach(self, twilio: Twilios, database_url: str) -> None:
        twilio.bot.store.close()
        with gone(database_url):
            figures = self.figures(twilio)
        assert figures["ramz_up", ""] == 0
        assert {name for name, _ in figures} == {"ramz_up", "ramz_build_info"}

    def test_nothing_about_anyone_is_shown(self, twilio: Twilios) -> None:
        twilio.code()
        shown = "".join(twilio.client.get(path).text for path in ("/healthz", "/readyz", "/metrics"))
        for secret in ("9121234567", "0012345679", "100001", TOKEN, ACCOUNT):
            assert secret not in shown


def later(clock: StoppedClock) -> bool:
    clock.forward(seconds=0.5)
    return True
