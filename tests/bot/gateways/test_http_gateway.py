"""The gateway of providers with an HTTP API: what is sent, what answers mean, every trouble, texts and receipts."""

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from bot.gateways.http import client
from bot.gateways.http.answer import find, parse
from bot.gateways.http.client import Client
from bot.gateways.http.gateway import ATTEMPT_SECONDS, uid
from bot.gateways.http.request import compose, number
from bot.ports import Call, Malformed, Outbound, Reason, SendFailed
from bot.profiles.places import fill_address
from bot.sending import courier
from store.tables import DeliveryStatus, MessageKind
from tests.bot.gateways.test_gateways import Loud
from tests.providers import ippanel, jasmin, kavenegar, magfa, melipayamak, smsir
from tests.providers.standin import (
    EMPTY,
    ENDLESS,
    HALF,
    HTML,
    TOO_MANY,
    WELCOME,
    Cut,
    Drip,
    Hang,
    Page,
    Trouble,
    answer,
    redirect_to,
)
from tests.providers.wire import FILES, PROFILES, ProviderWire
from tests.support.people import OMID, ZAHRA

PERSIAN = "کد فاخر: 123456\nتا ۱۰ دقیقه همین‌جا پس بفرستید."
EVERY = pytest.mark.parametrize("name", list(PROFILES))

Open = Callable[..., ProviderWire]


@pytest.fixture
def opened() -> Iterator[Open]:
    made: list[Any] = []

    def make(name: str, **changes: Any) -> ProviderWire:
        made.append(context := ProviderWire.opened(name, **changes))
        return context.__enter__()

    yield make
    for context in made:
        context.__exit__(None, None, None)


def outbound(
    words: str = PERSIAN, *, ref: int = 7, attempt: int = 1, to: str = ZAHRA["mobile"], **more: Any
) -> Outbound:
    return Outbound(ref, MessageKind.CODE, to, words, more.pop("validity", 600), attempt=attempt, **more)


def failure(wire: ProviderWire, *troubles: Trouble, text: Outbound | None = None) -> SendFailed:
    wire.standin.trouble(*troubles)
    with pytest.raises(SendFailed) as failed:
        wire.gateway.send(text or outbound())
    return failed.value


class TestEveryProfileInTrouble:
    """Whatever comes back in an answer's place, the courier is told what to do."""

    @EVERY
    @pytest.mark.parametrize(
        ("trouble", "reasons"),
        [
            pytest.param(HTML, {Reason.BUSY}, id="a page in place of JSON, 502"),
            pytest.param(WELCOME, {Reason.NO_SENSE, Reason.UNKNOWN}, id="a page in place of JSON, 200"),
            pytest.param(TOO_MANY, {Reason.BUSY}, id="429"),
            pytest.param(HALF, {Reason.NO_SENSE, Reason.UNKNOWN}, id="half an answer"),
            pytest.param(EMPTY, {Reason.NO_SENSE, Reason.UNKNOWN}, id="an empty answer"),
            pytest.param(ENDLESS, {Reason.NO_SENSE}, id="an answer without end"),
            pytest.param(answer([]), {Reason.UNKNOWN}, id="an empty list"),
            pytest.param(answer(None), {Reason.UNKNOWN}, id="null"),
            pytest.param(answer(7), {Reason.UNKNOWN}, id="a number"),
            pytest.param(answer({"status": {"a": 1}, "return": [1]}), {Reason.UNKNOWN}, id="strange types"),
            pytest.param(
                Page("[" * 100_000, content_type="application/json"), {Reason.NO_SENSE, Reason.UNKNOWN}, id="deep"
            ),
            pytest.param(Page("", 401), {Reason.REFUSED}, id="401"),
            pytest.param(Page("", 500), {Reason.BUSY}, id="500"),
            pytest.param(Page("", 204), {Reason.NO_SENSE, Reason.UNKNOWN}, id="204"),
            pytest.param(Cut(), {Reason.NO_SENSE}, id="cut"),
            pytest.param(Cut(midway=True), {Reason.NO_SENSE}, id="cut midway"),
        ],
    )
    def test_it_says_why_and_that_another_may_do_better(
        self, opened: Open, name: str, trouble: Trouble, reasons: set[Reason]
    ) -> None:
        failed = failure(opened(name), trouble)
        assert failed.reason in reasons
        assert not failed.permanent

    @EVERY
    def test_it_follows_no_redirect(self, opened: Open, name: str) -> None:
        wire, elsewhere = opened(name), opened(name)
        for status in (301, 302, 307, 308):
            page = redirect_to(f"{elsewhere.standin.url}/v1/elsewhere")
            failed = failure(wire, Page("", status, headers=page.headers))
            assert (failed.reason, failed.code) == (
                Reason.NO_SENSE,
                str(status),
            ) or wire.profile.answer.format != "json"
        assert elsewhere.standin.asked == []
        assert len(wire.standin.asked) == 4

    @EVERY
    def test_it_waits_for_no_answer_longer_than_it_may(self, opened: Open, name: str) -> None:
        wire = opened(name, patience=0.3)
        began = time.monotonic()
        assert failure(wire, Hang()).reason is Reason.TIMEOUT
        assert time.monotonic() - began < 2

    @EVERY
    def test_an_answer_that_drips_is_no_better(self, opened: Open, name: str) -> None:
        wire = opened(name, patience=0.5)
        began = time.monotonic()
        assert failure(wire, Drip(0.05)).reason is Reason.TIMEOUT
        assert time.monotonic() - began < 2

    @EVERY
    def test_it_sends_again_over_a_new_connection_after_any_trouble(self, opened: Open, name: str) -> None:
        wire = opened(name)
        for trouble in (Cut(), Cut(midway=True), HALF, ENDLESS, HTML):
            failure(wire, trouble)
        wire.gateway.send(outbound())
        assert wire.arrived(ZAHRA["mobile"]) == [PERSIAN]

    @EVERY
    def test_it_uses_one_connection_for_many_texts(self, opened: Open, name: str) -> None:
        wire = opened(name)
        for ref in range(1, 8):
            wire.gateway.send(outbound(ref=ref))
        assert wire.standin.connections == 1

    @EVERY
    def test_nobody_there_is_no_connection(self, opened: Open, name: str) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{unused.getsockname()[1]}"
            failed = failure(opened(name, **{f"HTTP_{name.upper()}_BASE": base}))
        assert (failed.reason, failed.permanent) == (Reason.NO_CONNECTION, False)

    @EVERY
    @pytest.mark.parametrize("trouble", [HTML, WELCOME, Hang(), Cut(midway=True), redirect_to("/elsewhere")])
    def test_nothing_of_it_reaches_a_log_or_the_error(
        self, opened: Open, name: str, trouble: Trouble, caplog: pytest.LogCaptureFixture
    ) -> None:
        wire = opened(name, patience=0.3)
        with Loud(caplog):
            failed = failure(wire, trouble)
        shown = f"{caplog.text} {failed!r} {failed.__cause__!r} {wire.gateway.provider!r} {outbound()!r}"
        for secret in ("123456", "9121234567", "فاخر", *wire.secrets):
            assert secret not in shown

    def test_an_attempt_ends_before_anyone_takes_the_text_over(self) -> None:
        assert courier.SEND_SECONDS.total_seconds() > client.CONNECT_SECONDS + client.ANSWER_SECONDS
        assert courier.SEND_SECONDS.total_seconds() >= ATTEMPT_SECONDS


def bird(**flock: str) -> Page:
    """An accepted call of the invented provider's, whose one text fares so."""
    return answer({"sky": {"clear": True}, "flock": [flock]})


class TestWhatErrorsMean:
    """An accepted call can hold a refusal: its envelope is one thing, the text in it another."""

    @pytest.mark.parametrize(
        ("name", "page", "reason", "permanent"),
        [
            ("kavenegar", kavenegar.refusal(411), Reason.NOT_A_MOBILE, True),
            ("kavenegar", kavenegar.refusal(418), Reason.REFUSED, False),
            ("kavenegar", kavenegar.refusal(420), Reason.SPAM, False),
            ("kavenegar", kavenegar.refusal(451), Reason.BUSY, False),
            ("kavenegar", kavenegar.refusal(403), Reason.REFUSED, False),
            ("kavenegar", kavenegar.item(14), Reason.BLOCKED, False),
            ("kavenegar", kavenegar.item(11), Reason.UNREACHABLE, False),
            ("magfa", magfa.item(1), Reason.NOT_A_MOBILE, True),
            ("magfa", magfa.item(27), Reason.BLOCKED, False),
            ("magfa", magfa.item(33), Reason.OPTED_OUT, True),
            ("magfa", magfa.item(8), Reason.REFUSED, False),
            ("magfa", magfa.item(13), Reason.NO_SENSE, True),
            ("magfa", magfa.item(15), Reason.BUSY, False),
            ("magfa", magfa.envelope(18), Reason.REFUSED, False),
            ("magfa", magfa.envelope(106), Reason.REFUSED, False),
            ("magfa", magfa.item(0, None), Reason.NO_SENSE, False),
            ("melipayamak", melipayamak.said(0, "0"), Reason.REFUSED, False),
            ("melipayamak", melipayamak.said(11, "11"), Reason.BLOCKED, False),
            ("melipayamak", melipayamak.said(35, "35"), Reason.BLOCKED, False),
            ("melipayamak", melipayamak.said(16, "16"), Reason.NOT_A_MOBILE, True),
            ("melipayamak", melipayamak.said(14, "14"), Reason.SPAM, False),
            ("melipayamak", melipayamak.said(99, "99"), Reason.UNKNOWN, False),
            ("smsir", smsir.accepted_as(0), Reason.BLOCKED, False),
            ("smsir", smsir.accepted_as(None), Reason.NOT_A_MOBILE, True),
            ("smsir", smsir.accepted_as(), Reason.NO_SENSE, False),
            ("smsir", smsir.said(20, None, 429), Reason.BUSY, False),
            ("smsir", smsir.said(104, None, 400), Reason.NOT_A_MOBILE, True),
            ("smsir", smsir.said(115, None, 400), Reason.BLOCKED, False),
            ("smsir", smsir.said(124, None, 400), Reason.REFUSED, False),
            ("ippanel", ippanel.said(None, "400-1", 401), Reason.REFUSED, False),
            ("ippanel", ippanel.said(None, "400-2", 422), Reason.REFUSED, False),
            ("jasmin", jasmin.error(403, "Authentication failure for username:ramz"), Reason.REFUSED, False),
            ("jasmin", jasmin.error(412, "No route found"), Reason.REFUSED, False),
            ("jasmin", jasmin.error(500, "Cannot send submit_sm, check SMPPClientManagerPB log"), Reason.BUSY, False),
            ("invented", answer({"sky": {"clear": False, "why": "storm"}}), Reason.BUSY, False),
            ("invented", bird(flying="no", why="hawk"), Reason.BLOCKED, False),
            ("invented", bird(flying="yes", ring="lost"), Reason.BLOCKED, False),
            ("invented", answer({"SKY": {"CLEAR": 1, "Why": "no such roof"}}), Reason.NOT_A_MOBILE, True),
        ],
    )  # fmt: skip
    def test_a_refusal_is_told_in_our_words(
        self, opened: Open, name: str, page: Page, reason: Reason, permanent: bool
    ) -> None:
        failed = failure(opened(name), page)
        assert (failed.reason, failed.permanent) == (reason, permanent)

    @EVERY
    def test_a_blacklist_is_never_final_for_the_text(self, name: str) -> None:
        profile = PROFILES[name]
        verdicts = [*profile.errors.values(), *profile.answer.no_id.values()]
        assert not [
            it for it in verdicts if it.permanent and it.reason in {Reason.BLOCKED, Reason.REFUSED, Reason.BUSY}
        ]

    def test_a_providers_words_do_not_reach_the_log(self, opened: Open) -> None:
        words = {"status": "the number 9121234567 is bad: کد فاخر", "messages": []}
        assert failure(opened("magfa"), answer(words)).code == ""


class TestAfterATimeout:
    @pytest.mark.parametrize("name", ["kavenegar", "magfa"])
    @pytest.mark.parametrize("trouble", [Hang(taken=True), Cut(taken=True), Cut(midway=True, taken=True)])
    def test_no_second_copy_goes_out(self, opened: Open, name: str, trouble: Trouble) -> None:
        wire = opened(name, patience=0.5)
        failure(wire, trouble)
        (taken,) = wire.standin.taken
        assert wire.gateway.send(outbound(attempt=2)) == taken.id
        assert len(wire.standin.taken) == 1

    @pytest.mark.parametrize("name", ["kavenegar", "magfa"])
    def test_a_text_that_was_not_taken_is_sent_again(self, opened: Open, name: str) -> None:
        wire = opened(name, patience=0.5)
        failure(wire, Hang())
        assert wire.gateway.send(outbound(attempt=2))
        assert wire.arrived(ZAHRA["mobile"]) == [PERSIAN]

    def test_a_provider_that_can_not_be_asked_is_not_sent_to_either(self, opened: Open) -> None:
        wire = opened("magfa", patience=0.3)
        wire.standin.last(Hang(), at="/mid/")
        assert failure(wire, text=outbound(attempt=2)).reason is Reason.TIMEOUT
        assert wire.standin.taken == []

    @pytest.mark.parametrize("trouble", [HTML, WELCOME, EMPTY, Page("", 404), answer({"status": 0, "mid": None})])
    def test_one_that_answers_nonsense_is_sent_to_rather_than_never(self, opened: Open, trouble: Trouble) -> None:
        wire = opened("magfa")
        wire.standin.last(trouble, at="/mid/")
        assert wire.gateway.send(outbound(attempt=2))

    def test_a_first_attempt_asks_nothing(self, opened: Open) -> None:
        wire = opened("magfa")
        wire.gateway.send(outbound())
        assert [it.path for it in wire.standin.asked] == ["/api/http/sms/v2/send"]

    @given(st.integers(1, 10**9), st.text(max_size=20), st.integers(1, 10**9), st.text(max_size=20))
    def test_our_id_is_one_for_a_text_and_another_for_every_other(
        self, ref: int, words: str, other: int, more: str
    ) -> None:
        text = outbound(words, ref=ref)
        assert uid(text) == uid(outbound(words, ref=ref, attempt=9))
        assert 0 < int(uid(text)) < 2**53
        if (ref, words) != (other, more):
            assert uid(text) != uid(outbound(more, ref=other))


class TestWhatIsSent:
    def test_kavenegar_has_its_key_in_the_path_and_the_rest_in_a_form(self, opened: Open) -> None:
        wire = opened("kavenegar")
        wire.gateway.send(outbound())
        (asked,) = wire.standin.asked
        assert asked.path == f"/v1/{kavenegar.KEY}/sms/send.json"
        expected = {"receptor": "09121234567", "message": PERSIAN, "sender": "10004346", "localid": uid(outbound())}
        assert asked.form == expected

    def test_magfa_has_lists_and_a_number_for_our_id(self, opened: Open) -> None:
        wire = opened("magfa")
        wire.gateway.send(outbound())
        (asked,) = wire.standin.asked
        assert asked.user == ("ramz/hajj", magfa.PASSWORD)
        assert asked.json["recipients"] == ["09121234567"]
        assert asked.json["uids"] == [int(uid(outbound()))]

    def test_jasmin_has_the_text_in_hexadecimal_and_our_address_for_receipts(self, opened: Open) -> None:
        wire = opened("jasmin")
        wire.gateway.send(outbound("رمز", validity=59))
        form = wire.standin.asked[0].form
        assert (form["hex-content"], form["validity-period"]) == ("063106450632", "1")
        assert form["dlr-url"] == wire.gateway.address("receipts", wire.gateway.provider.secret)

    @pytest.mark.parametrize(
        ("form", "written"),
        [
            ("national", "09121234567"),
            ("bare", "9121234567"),
            ("international", "989121234567"),
            ("e164", "+989121234567"),
        ],
    )
    def test_a_number_is_written_as_the_provider_reads_it(self, form: str, written: str) -> None:
        assert number("+989121234567", form) == written

    def test_a_number_abroad_keeps_its_country(self) -> None:
        assert number("+9647701234567", "national") == "009647701234567"

    @given(st.text())
    def test_no_value_can_leave_its_place_in_an_address(self, value: str) -> None:
        value = value.encode("utf-8", "replace").decode()
        filled = fill_address("/v1/{key}/send?a={key}", {"key": value})
        assert not set(filled.removeprefix("/v1/").replace("/send?a=", "")) & set("/?#& \r\n=")

    @given(st.text())
    def test_no_value_ends_a_header(self, value: str) -> None:
        profile = PROFILES["ippanel"]
        request = compose(profile, profile.base, profile.send, {"key": value, "line": "1", "to": "1", "text": ""})
        assert not set(request.headers["Authorization"]) & set("\r\n")


class TestPatterns:
    """A provider's approved templates."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
        def make(name: str, pattern: str) -> dict[str, str]:
            path = tmp_path / f"{name}.toml"
            path.write_text(FILES[name].read_text("utf-8") + pattern, "utf-8")
            return {f"HTTP_{name.upper()}_PROFILE": str(path)}

        return make

    KAVENEGAR = """
[pattern]
path = "/v1/{key}/verify/lookup.json"
form = { receptor = "{to}", template = "{template}", token = "{1}", token2 = "{2}" }
templates = { "new_password.fa" = ["ramz-new", "password"], "code_for_fakher.fa" = ["ramz-fakher", "code", "minutes"] }
"""
    SMSIR = """
[pattern]
path = "/v1/send/verify"
json = { mobile = "{to}", templateId = "{template:number}", parameters = [{ name = "CODE", value = "{1}" }] }
id = "data.messageId"
templates = { "new_password.fa" = ["100000", "password"] }
otherwise = "next"
"""

    def test_a_phrase_with_a_template_goes_as_its_values(self, opened: Open, file: Any) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        made: dict[str, Any] = {"phrase": "new_password", "language": "fa", "parameters": {"password": "k7mw4qtz9hdx"}}
        assert wire.gateway.send(outbound("رمز تازه", **made)) == wire.standin.taken[0].id
        form = wire.standin.asked[0].form
        assert form == {"receptor": "09121234567", "template": "ramz-new", "token": "k7mw4qtz9hdx"}

    def test_a_template_may_have_several_values(self, opened: Open, file: Any) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        made: dict[str, Any] = {
            "phrase": "code_for_fakher",
            "language": "fa",
            "parameters": {"code": "012345", "minutes": "10"},
        }
        wire.gateway.send(outbound(**made))
        assert (wire.standin.asked[0].form["token"], wire.standin.asked[0].form["token2"]) == ("012345", "10")

    @pytest.mark.parametrize(("phrase", "language"), [("code", "fa"), ("new_password", "en")])
    def test_a_phrase_without_one_goes_as_plain_text(self, opened: Open, file: Any, phrase: str, language: str) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        wire.gateway.send(outbound(phrase=phrase, language=language))
        assert wire.arrived(ZAHRA["mobile"]) == [PERSIAN]

    def test_or_by_the_next_gateway_where_the_profile_says_so(self, opened: Open, file: Any) -> None:
        wire = opened("smsir", **file("smsir", self.SMSIR))
        failed = failure(wire, text=outbound(phrase="code", language="fa"))
        assert (failed.reason, failed.permanent) == (Reason.NO_TEMPLATE, False)
        assert wire.standin.asked == []
        made: dict[str, Any] = {"phrase": "new_password", "language": "fa", "parameters": {"password": "k7mw4qtz9hdx"}}
        assert wire.gateway.send(outbound(**made)) == wire.standin.taken[0].id
        assert wire.standin.asked[0].json["templateId"] == 100_000


class TestTextsThatComeIn:
    def test_jasmins_texts_in_another_alphabet_are_read_from_their_octets(self, opened: Open) -> None:
        wire = opened("jasmin")
        persian = wire.text(ZAHRA["mobile"], "1", "رمز")
        assert wire.gateway.read_text(Call("", {}, persian, {})).text == "رمز"
        latin = {"id": "2", "from": ZAHRA["mobile"], "content": "RESET", "coding": "0", "binary": "5245534554"}
        assert wire.gateway.read_text(Call("", {}, latin, {})).text == "RESET"

    def test_two_texts_without_id_and_date_are_two(self, opened: Open) -> None:
        wire = opened("melipayamak")
        form = wire.text(ZAHRA["mobile"], "", "رمز")
        call = Call("", {}, {}, form)
        assert wire.gateway.read_text(call).provider_id != wire.gateway.read_text(call).provider_id

    def test_a_json_body_is_read_by_the_same_names(self, opened: Open) -> None:
        wire = opened("kavenegar")
        body = '{"from": "09121234567", "message": "رمز", "messageid": 55}'.encode()
        heard = wire.gateway.read_text(Call("", {"Content-Type": "application/json"}, {}, {}, body))
        assert (heard.sender, heard.text, heard.provider_id) == ("09121234567", "رمز", "55")
        with pytest.raises(Malformed):
            wire.gateway.read_text(Call("", {"Content-Type": "application/json"}, {}, {}, b"{"))

    def test_a_provider_that_does_not_call_is_not_believed(self, opened: Open) -> None:
        wire = opened("magfa")
        assert not wire.gateway.is_authentic(Call("https://h/webhooks/http-magfa/sms?secret=", {}, {}, {"secret": ""}))


class TestReceipts:
    def test_one_call_can_bring_several(self, opened: Open, tmp_path: Path) -> None:
        text = FILES["kavenegar"].read_text("utf-8").replace("[receipts]", '[receipts]\nlist = "."')
        path = tmp_path / "list.toml"
        path.write_text(text, "utf-8")
        wire = opened("kavenegar", HTTP_KAVENEGAR_PROFILE=str(path))
        items = [
            {"messageid": 1, "status": 10},
            {"messageid": 2, "status": 14},
            {"status": 10},
            {"messageid": 3, "status": 77},
        ]
        read = wire.gateway.read_receipts(Call("", {}, MultiDict(), {}, answer(items).body.encode()))
        assert [(it.provider_id, it.status, it.error) for it in read] == [
            ("1", DeliveryStatus.DELIVERED, None), ("2", DeliveryStatus.FAILED, Reason.BLOCKED),
        ]  # fmt: skip
        for broken in (b"", b"{}", b"7", b"["):
            with pytest.raises(Malformed):
                wire.gateway.read_receipts(Call("", {}, MultiDict(), {}, broken))


POLLED = pytest.mark.parametrize("name", [name for name, it in PROFILES.items() if it.poll.inbound])
ASKED = pytest.mark.parametrize("name", [name for name, it in PROFILES.items() if it.poll.receipts])


class TestEveryProfileThatIsAsked:
    """The contract of those that don't call."""

    @POLLED
    def test_it_fetches_what_came_in_once(self, opened: Open, name: str) -> None:
        wire = opened(name)
        assert wire.gateway.poll_inbound("").texts == []
        wire.standin.bring(ZAHRA["mobile"], "رمز 0012345679")
        wire.standin.bring(OMID["mobile"], "RESET 8052916372")
        first = wire.gateway.poll_inbound("")
        assert [it.inbound.text for it in first.texts] == ["رمز 0012345679", "RESET 8052916372"]
        assert all(it.inbound.gateway == f"http-{name}" for it in first.texts)
        assert len({it.inbound.provider_id for it in first.texts}) == 2
        now = time.time()
        assert all(it.sent_at is not None and abs(it.sent_at.timestamp() - now) < 30 for it in first.texts)
        assert wire.gateway.poll_inbound(first.cursor).texts == []

    @POLLED
    def test_it_fetches_hundreds(self, opened: Open, name: str) -> None:
        wire = opened(name)
        for place in range(230):
            wire.standin.bring(ZAHRA["mobile"], f"text {place}")
        cursor, texts, rounds = "", [], 0
        while rounds < 9 and (batch := wire.gateway.poll_inbound(cursor)).texts:
            texts += [it.inbound.text for it in batch.texts]
            cursor, rounds = batch.cursor, rounds + 1
        assert sorted(set(texts)) == sorted(f"text {place}" for place in range(230))
        assert len(texts) == 230

    @ASKED
    def test_it_tells_how_far_texts_have_come(self, opened: Open, name: str) -> None:
        wire = opened(name)
        names = [wire.gateway.send(outbound(ref=ref)) for ref in (1, 2)]
        wire.standin.states = {names[0]: wire.state("delivered"), names[1]: wire.state("undelivered")}
        rounds = wire.gateway.receipt_rounds
        assert rounds is not None
        asked = [names] if rounds.batch > 1 else [[it] for it in names]
        read = [it for each in asked for it in wire.gateway.poll_receipts(each)]
        assert [(it.provider_id, it.status) for it in read] == [
            (names[0], DeliveryStatus.DELIVERED),
            (names[1], DeliveryStatus.FAILED),
        ]

    @POLLED
    @pytest.mark.parametrize(
        "trouble",
        [HTML, WELCOME, TOO_MANY, HALF, EMPTY, ENDLESS, answer([7]), Cut(), Page("", 302), answer({"status": 18})],
    )
    def test_no_answer_is_told_from_an_empty_one(self, opened: Open, name: str, trouble: Trouble) -> None:
        wire = opened(name)
        wire.standin.trouble(trouble, trouble)
        with pytest.raises(SendFailed):
            wire.gateway.poll_inbound("")
        if wire.gateway.receipt_rounds:
            with pytest.raises(SendFailed):
                wire.gateway.poll_receipts(["1"])

    def test_a_text_without_a_sender_is_counted_and_the_others_are_fetched(self, opened: Open) -> None:
        wire = opened("magfa")
        good = {"body": "رمز", "senderNumber": "989121234567", "date": "2026-09-01 12:30:00"}
        wire.standin.trouble(answer({"status": 0, "messages": [{"body": "x"}, good, None, 7]}))
        batch = wire.gateway.poll_inbound("")
        assert ([it.inbound.text for it in batch.texts], batch.lost) == (["رمز"], 3)

    def test_the_same_text_of_the_same_second_has_the_same_name(self, opened: Open) -> None:
        wire = opened("magfa")
        row = {"body": "رمز", "senderNumber": "989121234567", "date": "2026-09-01 12:30:00"}
        later = row | {"date": "2026-09-01 12:30:01"}
        wire.standin.trouble(answer({"status": 0, "messages": [row, row, later]}))
        first, second, third = (it.inbound.provider_id for it in wire.gateway.poll_inbound("").texts)
        assert first == second != third
        assert "رمز" not in first and "9121234567" not in first


class TestTransport:
    def test_a_certificate_that_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        with tls_server(tmp_path) as port, pytest.raises(SendFailed) as failed:
            Client(2).call("GET", f"https://127.0.0.1:{port}/v1/a-key/send", {})
        assert (failed.value.reason, failed.value.code) == (Reason.NO_CONNECTION, "tls")


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(began).not_valid_after(began + dt.timedelta(days=3650))
    certificate = built.sign(key, hashes.SHA256())
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            try:
                with context.wrap_socket(server.accept()[0], server_side=True) as taken:
                    taken.recv(1)
            except OSError:
                return

        thread = Thread(target=once, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


class TestPaths:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        ),
        st.text(),
    )
    def test_a_path_leads_somewhere_or_nowhere_but_never_breaks(self, data: Any, path: str) -> None:  # fmt: skip
        find(data, path)

    @pytest.mark.parametrize(
        ("path", "value"), [("a.0.b", 1), ("A.0.B", 1), ("a.1.b", None), ("a.0.c", None), ("", "all")]
    )
    def test_it_finds_what_is_there(self, path: str, value: Any) -> None:
        data = parse(b'{"a": [{"b": 1}]}')
        found = find(data, path)
        assert found == value or (value is None and found.__name__ == "Nothing") or (value == "all" and found == data)
