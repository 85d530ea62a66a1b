"""Providers with odd manners, each by its profile alone: what befalls a text, and how they say it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from persiantools.jdatetime import JalaliDateTime
from werkzeug.datastructures import MultiDict

from bot.credentials.keyring import Keyring
from bot.gateways.http.answer import decoded, kept_id
from bot.gateways.http.gateway import HttpGateway, uid
from bot.gateways.http.polling import moment
from bot.platform.clock import TEHRAN
from bot.platform.http_client import HttpClient
from bot.platform.random_source import SystemRandomSource
from bot.ports import Call, Malformed, Reason, SendFailed
from bot.profiles.places import fill_all
from bot.profiles.profile import BadProfile, read
from bot.profiles.provider import read_provider
from bot.settings import read_keys
from store.tables import DeliveryStatus
from tests.cases import for_each
from tests.providers.odd import NEEDED, ODD, SECRETS, Odd, settings_of
from tests.providers.standin import HALF, HTML, TOO_MANY, Cut, Drip, Hang, Page, Trouble, answer, redirect_to
from tests.providers.wire import PERSIAN, PUBLIC_URL, outbound
from tests.support.parts import KEYS
from tests.support.people import ZAHRA

EVERY = pytest.mark.parametrize("name", list(ODD))
HOUR = timedelta(hours=1)
Opened = Callable[..., tuple[Odd, HttpGateway]]


@contextmanager
def gateway_of(provider: Odd, patience: float, change: Callable[[str], str], folder: Path) -> Iterator[HttpGateway]:
    settings = settings_of(provider)
    profile = folder / f"{provider.name}.toml"
    profile.write_text(change(provider.file.read_text("utf-8")), "utf-8")
    settings[f"HTTP_{provider.name.upper()}_PROFILE"] = str(profile)
    found = read_provider(f"http-{provider.name}", lambda name: settings.get(name, ""))
    http = HttpClient(read_seconds=patience)
    yield HttpGateway(found, PUBLIC_URL, Keyring.of(read_keys(KEYS)), SystemRandomSource(), http)
    http.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = ExitStack()

    def make(name: str, patience: float = 5.0, change: Callable[[str], str] = str) -> tuple[Odd, HttpGateway]:
        provider = made.enter_context(ODD[name]())
        return provider, made.enter_context(gateway_of(provider, patience, change, tmp_path))

    with made:
        yield make


def failure(gateway: HttpGateway) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        gateway.send(outbound())
    return failed.value


class TestEveryOne:
    @EVERY
    def test_it_takes_a_text_and_is_believed(self, opened: Opened, name: str) -> None:
        provider, gateway = opened(name)
        called = gateway.send(outbound())
        (taken,) = provider.taken
        assert (taken.to, taken.text) == (ZAHRA["mobile"], PERSIAN)
        assert called in {taken.id, uid(outbound())}

    @EVERY
    @pytest.mark.parametrize(
        ("trouble", "reasons"),
        [
            pytest.param(HTML, {Reason.BUSY}, id="a page, 502"),
            pytest.param(Page("<html>Log in</html>"), {Reason.NO_SENSE, Reason.UNKNOWN}, id="a page, 200"),
            pytest.param(Page(b"\xff\xfe\xfd\x00\x80"), {Reason.NO_SENSE, Reason.UNKNOWN}, id="octets, 200"),
            pytest.param(TOO_MANY, {Reason.BUSY}, id="429"),
            pytest.param(HALF, {Reason.NO_SENSE, Reason.UNKNOWN}, id="half an answer"),
            pytest.param(answer({"error": "sorry"}), {Reason.UNKNOWN}, id="false success"),
            pytest.param(
                Page(b"\x1f\x8bno", headers=("Content-Encoding: gzip",)), {Reason.NO_SENSE}, id="broken compression"
            ),
            pytest.param(redirect_to("http://127.0.0.1:9/"), {Reason.NO_SENSE, Reason.UNKNOWN}, id="elsewhere"),
            pytest.param(Cut(), {Reason.NO_CONNECTION}, id="cut"),
            pytest.param(Hang(), {Reason.TIMEOUT}, id="hangs"),
            pytest.param(Drip(0.05), {Reason.TIMEOUT}, id="drips"),
        ],
    )
    def test_trouble_is_told_by_a_reason_and_no_secret(
        self, opened: Opened, name: str, trouble: Trouble, reasons: set[Reason]
    ) -> None:
        provider, gateway = opened(name, patience=0.3)
        provider.trouble(trouble)
        failed = failure(gateway)
        assert (failed.reason in reasons, failed.permanent) == (True, False), failed.reason
        assert not [each for each in (*SECRETS, "9121234567", "123456") if each in f"{failed!r} {failed.code}"]

    @EVERY
    def test_a_refused_account_is_told_as_such(self, opened: Opened, name: str) -> None:
        """By its key, or by its credit: the numbers are the same."""
        refusals = {
            "abr": answer({"response": {"result": {"code": -7}}}),
            "bagh": Page("خطا: 12".encode("windows-1256")),
            "chah": answer({"ok": False, "error": 1001.0}),
            "dasht": answer([{"Status": "NoCredit"}]),
            "elm": answer({"d": '{"Success": false, "Code": "CREDIT"}'}),
            "farsh": Page("ERR CREDIT", 402),
            "gol": answer({"return": {"status": 418}, "entries": None}),
            "hava": Page("<r><status>-9</status></r>"),
        }
        provider, gateway = opened(name)
        provider.trouble(refusals[name])
        assert (failure(gateway).reason, provider.taken) == (Reason.REFUSED, [])


class TestIds:
    @pytest.mark.parametrize("name", ["0", "00", "-5", "false", "null", None, "", "two words"])
    def test_what_stands_in_place_of_an_id_is_none(self, opened: Opened, name: str | None) -> None:
        provider, gateway = opened("dasht")
        provider.trouble(answer([{"Status": "Ok", "Id": name}]))
        assert failure(gateway).reason is Reason.NO_SENSE

    def test_an_id_that_is_an_error_says_which(self, opened: Opened) -> None:
        provider, gateway = opened("dasht", change=lambda text: text.replace("[errors]", '[errors]\n-5 = "busy"'))
        provider.trouble(answer([{"Status": "Ok", "Id": -5}]))
        failed = failure(gateway)
        assert (failed.reason, failed.code) == (Reason.BUSY, "-5")

    def test_our_own_is_asked_for_only_where_the_provider_has_it(self, opened: Opened) -> None:
        with pytest.raises(BadProfile, match=r"no \{uid\} that the text could be known by"):
            opened("farsh", change=lambda text: text.replace('clientref = "{uid}", ', ""))

    @given(st.text(min_size=1, max_size=200))
    def test_any_id_can_be_kept_and_is_always_the_same(self, name: str) -> None:
        assert 0 < len(kept_id(name)) <= 64 and kept_id(name).isascii() and kept_id(name) == kept_id(name)


class TestEncodings:
    @given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    def test_json_is_read_in_every_encoding_of_it(self, words: str, encoding: str) -> None:
        words = words.encode("utf-8", "replace").decode()
        body = json.dumps({"a": words}, ensure_ascii=False)
        assert decoded(body.encode(encoding)) == body

    @for_each(
        ("body", "content_type", "read"),
        [
            ("ارسال شد".encode("windows-1256"), "", "ارسال شد"),
            ("ارسال شد".encode("windows-1256"), "text/plain; charset=windows-1256", "ارسال شد"),
            ("ارسال شد".encode("windows-1256"), "text/plain; charset=nonsense", "ارسال شد"),
            ("ارسال شد".encode(), "text/plain; charset=windows-1256", "ارسال شد"),
            ("déjà vu".encode("latin-1"), 'text/html;charset="iso-8859-1"', "déjà vu"),
        ],
    )
    def test_words_are_read_in_those_that_there_are(self, body: bytes, content_type: str, read: str) -> None:
        assert decoded(body, content_type) == read

    @given(st.binary(), st.text(max_size=40))
    def test_no_octets_break_it(self, body: bytes, content_type: str) -> None:
        decoded(body, f"text/plain; charset={content_type}")


class TestDates:
    @for_each(
        ("written", "how", "iso"),
        [
            ("1405/09/08 12:30:15", "iso", "2026-11-29T09:00:15+00:00"),
            ("1405-9-8 9:05", "tehran", "2026-11-29T05:35:00+00:00"),
            ("۱۴۰۵/۰۹/۰۸ ۱۲:۳۰", "iso", "2026-11-29T09:00:00+00:00"),
            ("2026/11/29 12:30:15", "tehran", "2026-11-29T09:00:15+00:00"),
            ("2026/11/29 12:30:15.250", "iso", "2026-11-29T12:30:15+00:00"),
            ("2026-11-29T12:30:15Z", "tehran", "2026-11-29T12:30:15+00:00"),
            ("2026-11-29T12:30:15+0330", "iso", "2026-11-29T09:00:15+00:00"),
            ("1795944615", "unix", "2026-11-29T09:30:15+00:00"),
            ("1795944615000", "unix", "2026-11-29T09:30:15+00:00"),
            ("1795944615000000", "unix", "2026-11-29T09:30:15+00:00"),
        ],
    )
    def test_it_is_read_however_it_is_written(self, written: str, how: str, iso: str) -> None:
        found = moment(written, how)
        assert found is not None and found.astimezone(UTC).replace(microsecond=0).isoformat() == iso

    @pytest.mark.parametrize(
        "written", ["", "yesterday", "1405/13/01", "2026-02-30 1:00", "9" * 400, "nan", "inf", "-inf"]
    )
    @pytest.mark.parametrize("how", ["unix", "iso", "tehran"])
    def test_what_is_none_is_none(self, written: str, how: str) -> None:
        assert moment(written, how) is None or written.isdecimal()

    @given(st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(timezone(3.5 * HOUR))))
    def test_a_jalali_date_is_the_same_moment(self, at: datetime) -> None:
        local = at.astimezone(TEHRAN).replace(microsecond=0, fold=0)
        written = JalaliDateTime(local).strftime("%Y/%m/%d %H:%M:%S", locale="en")  # type: ignore[no-untyped-call]
        assert moment(written, "iso") == local


class TestAskedForTexts:
    def test_pages_and_a_cursor_of_letters_bring_each_text_once(self, opened: Opened) -> None:
        provider, gateway = opened("elm")
        for place in range(7):
            provider.bring(ZAHRA["mobile"], f"text {place}")
        first = gateway.poll_inbound("")
        assert [it.inbound.text for it in first.texts] == [f"text {place}" for place in range(7)]
        assert gateway.poll_inbound(first.cursor).texts == []

    @pytest.mark.parametrize("page", [Page("", 204), answer({"state": "ok"}), answer({"state": "ok", "inbox": None})])
    def test_nothing_can_be_said_in_several_ways(self, opened: Opened, page: Page) -> None:
        provider, gateway = opened("hava")
        provider.trouble(page)
        assert gateway.poll_inbound("").texts == []

    @pytest.mark.parametrize("page", [answer({"inbox": []}), answer({"state": "no", "inbox": []}), Page("", 200)])
    def test_but_not_by_saying_nothing(self, opened: Opened, page: Page) -> None:
        provider, gateway = opened("hava")
        provider.trouble(page)
        with pytest.raises(SendFailed):
            gateway.poll_inbound("")

    def test_what_has_gathered_before_the_first_round_is_left_out_where_no_date_says_how_old_it_is(
        self, opened: Opened
    ) -> None:
        provider, gateway = opened("chah", change=lambda text: text.replace('date = "date"\n', ""))
        asked = gateway.profile.poll.inbound
        assert asked is not None
        for _ in range(asked.batch):
            provider.bring(ZAHRA["mobile"], "of last year")
        first = gateway.poll_inbound("")
        assert (first.texts, first.old) == ([], asked.batch)
        provider.bring(ZAHRA["mobile"], "of now")
        assert [it.inbound.text for it in gateway.poll_inbound(first.cursor).texts] == ["of now"]

    def test_a_text_that_comes_right_before_the_first_round_or_after_it_is_heard(self, opened: Opened) -> None:
        provider, gateway = opened("chah", change=lambda text: text.replace('date = "date"\n', ""))
        provider.bring(ZAHRA["mobile"], "of a moment ago")
        first = gateway.poll_inbound("")
        assert [it.inbound.text for it in first.texts] == ["of a moment ago"]
        cursor = first.cursor
        provider.bring(ZAHRA["mobile"], "of now")
        assert len(gateway.poll_inbound(cursor).texts) == 1


class TestBroughtTexts:
    def body(self, data: object, kind: str = "application/json") -> Call:
        return Call("", {"Content-Type": kind}, MultiDict(), {}, json.dumps(data).encode())

    def test_several_come_in_one_call_without_those_that_can_not_be_read(self, opened: Opened) -> None:
        _, gateway = opened("dasht")
        rows: list[object] = [
            {"Id": 1, "From": "09121234567", "Text": "a"},
            {"Id": 2, "Text": "b"},
            7,
            {"Id": 3, "From": "0", "Text": "c"},
        ]
        assert [it.text for it in gateway.read_texts(self.body(rows))] == ["a", "c"]
        assert gateway.read_texts(self.body([])) == []
        bad: list[object] = [[{"Id": 2}], {"Id": 1}, "x", 7]
        for each in bad:
            with pytest.raises(Malformed):
                gateway.read_texts(self.body(each))

    def test_json_is_read_whatever_it_is_called(self, opened: Opened) -> None:
        _, gateway = opened("gol")
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            (text,) = gateway.read_texts(self.body({"from": 989121234567, "message": "a", "messageid": 5.0}, kind))
            assert (text.sender, text.provider_id) == ("989121234567", "5")

    def test_receipts_by_our_own_number_find_the_text(self, opened: Opened) -> None:
        _, gateway = opened("farsh")
        called = gateway.send(outbound())
        form = MultiDict({"clientref": called, "status": "nok"})
        (receipt,) = gateway.read_receipts(Call("", {}, form, {}))
        assert (receipt.provider_id, receipt.status) == (uid(outbound()), DeliveryStatus.FAILED)


def test_ids_in_a_list_are_entries_of_it() -> None:
    values = {"ids": "1,2", "key": "k"}
    assert fill_all({"a": ["{ids}"], "b": ["{ids:number}", "{key}"], "c": "{ids}"}, values) == {
        "a": ["1", "2"],
        "b": [1, 2, "k"],
        "c": "1,2",
    }


def test_other_words_for_the_same_make_the_same_profile() -> None:
    with ODD["gol"]() as provider:
        found = read(provider.file.read_text("utf-8"))
    assert (found.numbers, found.secret) == ("international", "query:secret")
    assert found.answer.accepted == {"return.status": "200", "entries.0.status": "1|2|4|5|10"}
    receipts, inbound = found.poll.receipts, found.poll.inbound
    assert receipts and inbound and found.receipts and found.recall
    assert (receipts.id, receipts.status, receipts.map) == ("messageid", "status", found.receipts.map)
    assert (inbound.sender, inbound.text, inbound.id) == ("from", "message", "messageid")
    assert {receipts.method, inbound.method, found.recall.method} == {"GET"}
    assert NEEDED["line"]
