"""What is Kannel's alone: what sendsms is given, what its answers mean, its receipts, and calls that are broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.test import TestResponse

from bot.build import Bot, build
from bot.gateways.kannel import Kannel
from bot.platform.http_client import HttpClient
from bot.ports import Call, Outbound, Reason, SendFailed
from store.database.engine import Store
from store.tables import DeliveryStatus, InboundMessageRow, MessageKind, OutboundMessageRow, table
from tests.providers import kannel_standin
from tests.providers.kannel_standin import SECRET, SENDER, Cut, Hang, KannelStandIn, Trouble
from tests.providers.kannel_wire import KannelWire, chosen
from tests.support.parts import CHEAP, LoadedRandomSource, StoppedClock
from tests.support.people import STRANGER, ZAHRA, settled
from webhooks import create_app

INBOUND, MESSAGE = table(InboundMessageRow), table(OutboundMessageRow)
PERSIAN = "کد فاخر: 123456\nتا ۱۰ دقیقه همین‌جا پس بفرستید."
ENGLISH = "Fakher code: 123456\nText it back here @ once [10 min] €"
SMS, RECEIPTS = "/webhooks/kannel/sms", "/webhooks/kannel/receipts"


@pytest.fixture
def backend() -> str:
    """One database: what a call is taken for is decided before it."""
    return "sqlite"


@pytest.fixture
def wire() -> Iterator[KannelWire]:
    with KannelWire.opened() as wire:
        yield wire


def outbound(words: str = PERSIAN, *, validity: int = 600) -> Outbound:
    return Outbound(7, MessageKind.CODE, ZAHRA["mobile"], words, validity)


def failure(wire: KannelWire, *troubles: Trouble) -> SendFailed:
    wire.standin.troubles = list(troubles)
    with pytest.raises(SendFailed) as failed:
        wire.gateway.send(outbound())
    return failed.value


class TestWhatSendsmsIsGiven:
    def test_the_text_is_its_body_and_the_rest_stands_in_headers(self, wire: KannelWire) -> None:
        wire.gateway.send(outbound())
        (taken,) = wire.standin.taken
        assert taken.body.decode() == PERSIAN
        assert taken.headers["content-type"] == "text/plain; charset=UTF-8"
        assert (taken.headers["x-kannel-from"], taken.headers["x-kannel-to"]) == (SENDER, ZAHRA["mobile"])
        assert taken.headers["x-kannel-dlr-mask"] == "31"

    @pytest.mark.parametrize(("words", "coding"), [(PERSIAN, "2"), (ENGLISH, None), ("1\u200c", "2")])
    def test_it_asks_for_ucs_2_only_where_a_text_needs_it(
        self, wire: KannelWire, words: str, coding: str | None
    ) -> None:
        wire.gateway.send(outbound(words))
        assert wire.standin.taken[0].headers.get("x-kannel-coding") == coding
        assert wire.arrived(ZAHRA["mobile"]) == [words]

    @pytest.mark.parametrize(("seconds", "minutes"), [(600, "10"), (599, "9"), (60, "1"), (59, "1"), (1, "1")])
    def test_a_text_is_worth_delivering_no_longer_than_it_is_good(
        self, wire: KannelWire, seconds: int, minutes: str
    ) -> None:
        wire.gateway.send(outbound(validity=seconds))
        assert wire.standin.taken[0].headers["x-kannel-validity"] == minutes

    def test_its_receipts_come_back_to_the_public_address_with_secret_and_ref(self, wire: KannelWire) -> None:
        name = wire.gateway.send(outbound())
        template = wire.standin.taken[0].headers["x-kannel-dlr-url"]
        called = urlsplit(filled(template, d="1", D="?orig_msg?dlr_mask=31&"))
        assert f"{called.scheme}://{called.netloc}{called.path}" == f"https://ramz.example.ir{RECEIPTS}"
        asked = parse_qs(called.query)
        assert asked == {"secret": [SECRET], "ref": [name], "type": ["1"], "meta": ["?orig_msg?dlr_mask=31&"]}
        assert name.startswith("7.")

    def test_it_asks_kannel_for_nothing_that_quotes_the_text(self, wire: KannelWire) -> None:
        wire.gateway.send(outbound())
        template = wire.standin.taken[0].headers["x-kannel-dlr-url"].replace("%%", "")
        assert {template[place + 1] for place, it in enumerate(template) if it == "%"} == {"d", "D"}

    def test_connections_are_kept(self, wire: KannelWire) -> None:
        for _ in range(4):
            wire.gateway.send(outbound())
        assert wire.standin.connections == 1


def filled(template: str, **values: str) -> str:
    """An address as Kannel fills it in: values escaped, and %% for a %."""
    quoted = {name: urlencode({"": value})[1:] for name, value in values.items()}
    parts = template.split("%%")
    for name, value in quoted.items():
        parts = [part.replace(f"%{name}", value) for part in parts]
    return "%".join(parts)


class TestWhatItsAnswersMean:
    @pytest.mark.parametrize("answer", [kannel_standin.ACCEPTED, kannel_standin.QUEUED, (202, b"")])
    def test_202_is_accepted(self, wire: KannelWire, answer: Trouble) -> None:
        wire.standin.troubles = [answer]
        assert wire.gateway.send(outbound())

    @pytest.mark.parametrize(
        ("answer", "reason", "permanent"),
        [
            (kannel_standin.FORBIDDEN, Reason.REFUSED, False),
            (kannel_standin.NOT_ROUTABLE, Reason.REFUSED, False),
            (kannel_standin.NO_RECEIVER, Reason.REFUSED, True),
            (kannel_standin.ON_A_LIST, Reason.BLOCKED, False),
            (kannel_standin.BUSY, Reason.BUSY, False),
            ((500, b""), Reason.BUSY, False),
            ((502, b"<html>Bad Gateway</html>"), Reason.BUSY, False),
            ((401, b""), Reason.REFUSED, False),
            ((404, b"Unknown request"), Reason.REFUSED, False),
            ((408, b""), Reason.TIMEOUT, False),
            ((413, b""), Reason.REFUSED, True),
            ((429, b""), Reason.BUSY, False),
            ((200, b"<html>Welcome</html>"), Reason.NO_SENSE, False),
            ((302, b""), Reason.NO_SENSE, False),
            (Cut(), Reason.NO_CONNECTION, False),
            (Cut(midway=True), Reason.NO_SENSE, False),
        ],
    )
    def test_any_other_is_a_failure(self, wire: KannelWire, answer: Trouble, reason: Reason, permanent: bool) -> None:
        failed = failure(wire, answer)
        assert (failed.reason, failed.permanent) == (reason, permanent)
        assert len(wire.standin.taken) == 0, "it is not tried again here"

    def test_no_answer_is_a_timeout(self) -> None:
        with KannelWire.opened(read_seconds=0.3) as wire:
            failed = failure(wire, Hang())
        assert (failed.reason, failed.permanent) == (Reason.TIMEOUT, False)

    def test_nobody_there_is_no_connection(self, wire: KannelWire) -> None:
        wire.gateway.url = "http://127.0.0.1:1/cgi-bin/sendsms"
        failed = failure(wire)
        assert (failed.reason, failed.permanent) == (Reason.NO_CONNECTION, False)

    @pytest.mark.parametrize("answer", [kannel_standin.FORBIDDEN, Cut()])
    def test_a_failure_tells_nothing_of_the_text(self, wire: KannelWire, answer: Trouble) -> None:
        failed = failure(wire, answer)
        shown = f"{failed!r} {failed.__cause__!r} {failed.code} {outbound()!r}"
        for secret in ("123456", "9121234567", "فاخر", kannel_standin.PASSWORD, SECRET):
            assert secret not in shown


class TestReceipts:
    def read(
        self, wire: KannelWire, kind: str, meta: str = ""
    ) -> tuple[DeliveryStatus, Reason | None, int | None] | None:
        query = MultiDict({"ref": "7.abc", "type": kind, "meta": meta})
        read = wire.gateway.read_receipts(Call("", {}, {}, query))
        return (read[0].status, read[0].error, read[0].ref) if read else None

    @pytest.mark.parametrize(
        ("kind", "status", "reason"),
        [
            ("1", DeliveryStatus.DELIVERED, None),
            ("2", DeliveryStatus.FAILED, Reason.UNREACHABLE),
            ("4", DeliveryStatus.SENDING, None),
            ("8", DeliveryStatus.SENT, None),
            ("16", DeliveryStatus.FAILED, Reason.REFUSED),
            ("34", DeliveryStatus.FAILED, Reason.EXPIRED),  # seen of Kannel 1.4.5 for a receipt of EXPIRED
            ("66", DeliveryStatus.FAILED, Reason.UNKNOWN),
        ],
    )
    def test_a_type_is_a_rank(self, wire: KannelWire, kind: str, status: DeliveryStatus, reason: Reason | None) -> None:
        assert self.read(wire, kind) == (status, reason, 7)

    @pytest.mark.parametrize("kind", ["", "%d", "3", "-1", "01", "1 ", "٨", "1" * 99])
    def test_any_other_type_says_nothing(self, wire: KannelWire, kind: str) -> None:
        assert self.read(wire, kind) is None

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            ("%03%00%0D", Reason.BLOCKED),
            ("%03%00%0b", Reason.NOT_A_MOBILE),
            ("%03%00%1B", Reason.UNREACHABLE),
            ("%03%00%00", Reason.UNREACHABLE),
            ("%01%00%0D", Reason.UNREACHABLE),  # of another kind of network
            ("", Reason.UNREACHABLE),
            ("%", Reason.UNREACHABLE),
        ],
    )
    def test_the_networks_error_says_why(self, wire: KannelWire, error: str, reason: Reason) -> None:
        meta = f"?orig_msg?dlr_mask=31&?smpp?dlr_err={error}&"
        assert self.read(wire, "2", meta) == (DeliveryStatus.FAILED, reason, 7)
        assert self.read(wire, "1", meta) == (DeliveryStatus.DELIVERED, None, 7)


class Knocking:
    """A bot on Kannel, and smsbox's calls of it."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.client: FlaskClient = create_app(bot).test_client()

    def post(self, words: str | bytes, sender: str = ZAHRA["mobile"], *, query: str = "", **asked: str) -> TestResponse:
        query = query or urlencode({"secret": SECRET, "id": "u-1", **asked})
        headers = Headers({"X-Kannel-From": sender, "X-Kannel-To": SENDER} if sender else {})
        return self.client.post(f"{SMS}?{query}", data=words, content_type="text/plain; charset=UTF-8", headers=headers)

    def get(self, path: str = SMS, **asked: str) -> TestResponse:
        return self.client.get(f"{path}?{urlencode({'secret': SECRET, **asked})}")

    def receipt(self, ref: str, kind: int, method: str = "GET") -> int:
        query = urlencode({"secret": SECRET, "ref": ref, "type": kind})
        return self.client.open(f"{RECEIPTS}?{query}", method=method).status_code

    def heard(self) -> list[str]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(select(INBOUND.c.provider_id)).scalars())

    def texts(self) -> list[tuple[DeliveryStatus, str | None]]:
        with self.bot.store.reading() as connection:
            return [tuple(row) for row in connection.execute(select(MESSAGE.c.status, MESSAGE.c.error))]


@contextmanager
def knocking(store: Store, **changes: str) -> Iterator[Knocking]:
    """Calls to a bot whose only gateway is Kannel, with these settings."""
    with KannelStandIn() as standin:
        settings = chosen(standin.url, **changes)
        gateway = Kannel(settings, LoadedRandomSource(), HttpClient())
        bot = build(
            settings,
            clock=StoppedClock(),
            random_source=LoadedRandomSource(),
            gateways=[gateway],
            store=store,
            cost=CHEAP,
        )
        yield Knocking(settled(bot))
        gateway.http.close()


@pytest.fixture
def kannel(store: Store) -> Iterator[Knocking]:
    with knocking(store) as calls:
        yield calls


class TestCalls:
    def test_a_text_is_taken_by_post_and_by_get_and_once(self, kannel: Knocking) -> None:
        words = f"رمز {ZAHRA['national_id']}"
        for answer in (
            kannel.post(words),
            kannel.post(words),
            kannel.get(id="u-1", text=words, **{"from": ZAHRA["mobile"], "to": SENDER}),
        ):
            assert (answer.status_code, answer.data) == (200, b"")
        assert kannel.heard() == ["u-1"]
        assert len(kannel.texts()) == 1

    def test_the_text_of_a_get_is_understood(self, kannel: Knocking) -> None:
        words = f"رمز {ZAHRA['national_id']}"
        assert kannel.get(id="u-2", text=words, **{"from": "09121234567", "to": SENDER}).status_code == 200
        assert len(kannel.texts()) == 1

    @pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", "رمز"])
    def test_nothing_is_taken_without_the_secret(self, kannel: Knocking, secret: str | None) -> None:
        given = {} if secret is None else {"secret": secret}
        query = urlencode({**given, "id": "u-1", "ref": "1.x", "type": "1", "from": ZAHRA["mobile"], "text": "رمز"})
        for path in (SMS, RECEIPTS):
            assert kannel.client.get(f"{path}?{query}").status_code == 403
            assert kannel.client.post(f"{path}?{query}", data=b"x").status_code == 403
        assert kannel.heard() == []

    @pytest.mark.parametrize("asked", [{"id": ""}, {"id": "x" * 65}, {"id": "a b"}, {"id": "\x00"}])
    def test_an_id_is_needed(self, kannel: Knocking, asked: dict[str, str]) -> None:
        assert kannel.post("رمز", **asked).status_code == 400
        assert kannel.get(**asked, **{"from": ZAHRA["mobile"], "text": "x"}).status_code == 400

    def test_a_sender_is_needed(self, kannel: Knocking) -> None:
        assert kannel.post("رمز", sender="").status_code == 400
        assert kannel.get(id="u-1", text="رمز").status_code == 400

    @pytest.mark.parametrize("sender", [SENDER, f"+98{SENDER}", "Bank-Melli", "20001", "+12025550123", "\u200f", "0"])
    def test_machines_and_foreigners_get_silence(self, kannel: Knocking, sender: str) -> None:
        answer = kannel.get(id="u-1", text=f"رمز {ZAHRA['national_id']}", **{"from": sender, "to": SENDER})
        assert (answer.status_code, answer.data) == (200, b"")
        assert (kannel.heard(), kannel.texts()) == ([], [])

    @pytest.mark.parametrize(
        "body", [b"", b"\xff\xfe\x00", b"\x00" * 100, "🕋".encode() * 800, b"%00%ff", b"x" * 60_000]
    )
    def test_a_broken_text_is_no_error(self, kannel: Knocking, body: bytes) -> None:
        assert kannel.post(body, sender=STRANGER).status_code == 200
        query = urlencode({"secret": SECRET, "id": "u-2", "from": STRANGER}) + "&text=%ff%00%d8"
        assert kannel.client.get(f"{SMS}?{query}").status_code == 200

    def test_a_body_has_a_limit(self, kannel: Knocking) -> None:
        assert kannel.post(b"x" * 70_000).status_code == 413

    def test_bytes_in_an_address_that_are_no_text_are_no_error(self, kannel: Knocking) -> None:
        environment = {"QUERY_STRING": b"secret=\xff&id=\xd8".decode("latin-1")}
        for path in (SMS, RECEIPTS):
            assert kannel.client.get(path, environ_overrides=environment).status_code == 403

    def test_receipts_raise_a_text_in_whatever_order_they_come(self, kannel: Knocking) -> None:
        kannel.post(f"رمز {ZAHRA['national_id']}")
        kannel.bot.courier.deliver_due()
        with kannel.bot.store.reading() as connection:
            name = connection.execute(select(MESSAGE.c.provider_id)).scalar_one()
        seen = []
        for kind, method in ((4, "GET"), (1, "POST"), (8, "GET"), (16, "GET"), (2, "POST"), (1, "GET")):
            assert kannel.receipt(name, kind, method) == 200
            seen += kannel.texts()
        assert seen == [(DeliveryStatus.SENDING, None), *[(DeliveryStatus.DELIVERED, None)] * 5]

    def test_a_failure_keeps_its_reason(self, kannel: Knocking) -> None:
        kannel.post(f"رمز {ZAHRA['national_id']}")
        kannel.bot.courier.deliver_due()
        with kannel.bot.store.reading() as connection:
            name = connection.execute(select(MESSAGE.c.provider_id)).scalar_one()
        assert kannel.receipt(name, 34) == 200
        assert kannel.texts()[0] == (DeliveryStatus.FAILED, "expired")

    def test_a_receipt_of_nothing_that_is_known_is_taken(self, kannel: Knocking) -> None:
        assert kannel.receipt("99.nobody", 1) == 200
        assert kannel.receipt("", 1) == 400


def test_a_sender_that_is_a_mobile_is_not_answered_either(store: Store) -> None:
    with knocking(store, KANNEL_SENDER="+989121234567") as calls:
        assert calls.post(f"رمز {ZAHRA['national_id']}", sender="09121234567").status_code == 200
        assert calls.heard() == []


def test_without_a_secret_nobody_is_believed() -> None:
    gateway = Kannel(chosen("http://127.0.0.1:9/", KANNEL_INBOUND_SECRET=""), LoadedRandomSource(), HttpClient())
    for query in ({}, {"secret": ""}):
        assert not gateway.is_authentic(Call("", {}, {}, query))
