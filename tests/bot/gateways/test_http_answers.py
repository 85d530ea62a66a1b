"""What answers of HTTP providers mean: every trouble, what errors say, and what is asked after a timeout."""

import datetime as dt
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bot.gateways.http.gateway import ATTEMPT_SECONDS, uid
from bot.platform import http_client
from bot.platform.http_client import HttpClient
from bot.ports import Reason, SendFailed
from bot.sending import courier
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
from tests.providers.wire import EVERY, PERSIAN, PROFILES, Open, failure, outbound
from tests.support.people import ZAHRA


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
            pytest.param(Cut(), {Reason.NO_CONNECTION}, id="cut"),
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
        assert courier.SEND_SECONDS.total_seconds() > http_client.CONNECT_SECONDS + http_client.READ_SECONDS
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


class TestTransport:
    def test_a_certificate_that_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        with tls_server(tmp_path) as port, pytest.raises(SendFailed) as failed:
            HttpClient(read_seconds=2).request("GET", f"https://127.0.0.1:{port}/v1/a-key/send", headers={})
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


def test_a_call_is_sent_in_one_write() -> None:
    """Headers alone, and then a body, are two packets, and the provider is woken twice."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            taken, _ = server.accept()
            with taken:
                for _ in range(5):
                    seen.append(taken.recv(1000))
                    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = Thread(target=answer, daemon=True)
        thread.start()
        http = HttpClient(read_seconds=2)
        for _ in range(5):
            http.request("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", headers={}, body=b"To=1")
        http.close()
        thread.join(5)
    assert all(call.endswith(b"\r\n\r\nTo=1") for call in seen) and len(seen) == 5
