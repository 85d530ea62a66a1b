"""What every gateway promises, run on each of them; then what is Twilio's alone."""

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import Headers, MultiDict

from bot.credentials.keyring import Keyring
from bot.gateways.simulated import HEADER, Simulated
from bot.gateways.twilio import Twilio
from bot.platform.http_client import READ_SECONDS, HttpClient
from bot.platform.random_source import SystemRandomSource
from bot.ports import Call, Gateway, Malformed, Outbound, Reason, SendFailed
from bot.settings import read_keys
from store.database.engine import Store
from store.tables import DeliveryStatus, MessageKind
from tests.providers import twilio_standin
from tests.providers.kannel_wire import KannelWire
from tests.providers.twilio_standin import ACCOUNT, PUBLIC_URL, SIGNATURE, TOKEN, TwilioStandIn, settings_at
from tests.providers.wire import PROFILES, ProviderWire
from tests.support.databases import Fresh
from tests.support.parts import KEYS, StoppedClock, settings
from tests.support.people import OMID, ZAHRA

PERSIAN = "کد فاخر: 123456\nآن را تا 10 دقیقه به همین شماره بفرستید."
ENGLISH = "Fakher code: 123456\nText it back here & give it to nobody: 100% + 1 = safe?"

Form = dict[str, str]


class Wire(Protocol):
    """The provider's side of a gateway."""

    @property
    def gateway(self) -> Gateway: ...
    @property
    def ids(self) -> tuple[str, ...]: ...

    def sign(self, url: str, form: Form) -> str: ...
    def call(self, url: str, form: Form, signature: str | None) -> Call: ...
    def text(self, sender: str, name: str, words: str) -> Form: ...
    def receipt(self, name: str, status: str) -> Form: ...
    def arrived(self, phone: str) -> list[str]: ...


def signed_call(url: str, form: Form, headers: Form) -> Call:
    return Call(url, cast("Mapping[str, str]", Headers(headers)), MultiDict(form), MultiDict())


TEXT_ID = f"SM{1:032x}"  # an id that every provider could have given


@dataclass
class TwilioWire:
    standin: TwilioStandIn
    gateway: Gateway
    ids: tuple[str, str] = ("From", "MessageSid")

    def sign(self, url: str, form: Form) -> str:
        return twilio_standin.sign(TOKEN, url, form)

    def call(self, url: str, form: Form, signature: str | None) -> Call:
        return signed_call(url, form, {SIGNATURE: signature} if signature is not None else {})

    def text(self, sender: str, name: str, words: str) -> Form:
        return twilio_standin.text_form(sender, words, name)

    def receipt(self, name: str, status: str) -> Form:
        return twilio_standin.receipt_form(name, status)

    def arrived(self, phone: str) -> list[str]:
        return self.standin.texts_to(phone)


@dataclass
class SimulatedWire:
    gateway: Simulated
    ids: tuple[str, str] = ("from", "id")

    def __post_init__(self) -> None:
        self.seen = max((message.id for message in self.gateway.screen(ZAHRA["mobile"])), default=0)

    def sign(self, url: str, form: Form) -> str:
        return self.gateway.sign(url, form)

    def call(self, url: str, form: Form, signature: str | None) -> Call:
        return signed_call(url, form, {HEADER: signature} if signature is not None else {})

    def text(self, sender: str, name: str, words: str) -> Form:
        return {"from": sender, "id": name, "text": words}

    def receipt(self, name: str, status: str) -> Form:
        return {"id": name, "status": status}

    def arrived(self, phone: str) -> list[str]:
        return [message.text for message in self.gateway.screen(phone, self.seen)]


@dataclass
class Twilios:
    """Makes Twilio gateways, and lets go of their connections at the end."""

    standin: TwilioStandIn
    made: list[HttpClient] = field(default_factory=list)

    def __call__(self, *, patience: float = READ_SECONDS, **changes: str) -> Twilio:
        self.made.append(HttpClient(read_seconds=patience))
        return Twilio(settings(**settings_at(self.standin.url, **changes)), self.made[-1])

    def close(self) -> None:
        for http in self.made:
            http.close()


@pytest.fixture
def standin() -> Iterator[TwilioStandIn]:
    with TwilioStandIn() as standin:
        yield standin


@pytest.fixture
def twilios(standin: TwilioStandIn) -> Iterator[Twilios]:
    made = Twilios(standin)
    yield made
    made.close()


@pytest.fixture
def twilio(twilios: Twilios) -> Twilio:
    return twilios()


@pytest.fixture(scope="module")
def one_sqlite(fresh_sqlite: Fresh) -> str:
    return fresh_sqlite()


@pytest.fixture(scope="module")
def one_postgresql(fresh_postgresql: Fresh) -> str:
    return fresh_postgresql()


SIGNING = ["twilio", "simulated-sqlite", "simulated-postgresql"]
CALLING = [*SIGNING, "kannel-post", "kannel-get"]
# Every profile in the folder, and one of a provider that there is not.
DESCRIBED = [f"http-{name}" for name in PROFILES]
BRINGING_TEXTS = [f"http-{name}" for name, profile in PROFILES.items() if profile.inbound]
BRINGING_RECEIPTS = [f"http-{name}" for name, profile in PROFILES.items() if profile.receipts]


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    name, _, database = request.param.partition("-")
    if name == "twilio":
        yield TwilioWire(request.getfixturevalue("standin"), request.getfixturevalue("twilio"))
        return
    if name == "http":
        with ProviderWire.opened(database) as provider:
            yield provider
        return
    if name == "kannel":
        with KannelWire.opened(request.param) as kannel:
            yield kannel
        return
    store = Store(request.getfixturevalue(f"one_{database}"))
    yield SimulatedWire(Simulated(store, Keyring.of(read_keys(KEYS)), StoppedClock(), SystemRandomSource()))
    store.close()


def call(
    wire: Wire, signed: Form, what: str = "sms", *, query: str = "", signature: str | None = None, **changes: Any
) -> Call:
    """A call of the provider's, signed; with another signature or form in place of the right one, where given."""
    url = f"{PUBLIC_URL}/webhooks/{wire.gateway.name}/{what}{query}"
    made = wire.call(url, signed, wire.sign(url, signed) if signature is None else signature)
    return replace(made, **changes)


def text_of(wire: Wire, words: str = "رمز 0012345679") -> Form:
    return wire.text(ZAHRA["mobile"], TEXT_ID, words)


def outbound(words: str = PERSIAN, *, ref: int = 7, to: str = ZAHRA["mobile"], validity: int = 600) -> Outbound:
    return Outbound(ref, MessageKind.CODE, to, words, validity)


@pytest.mark.parametrize("wire", [*CALLING, *BRINGING_TEXTS], indirect=True)
class TestEveryGatewayThatBringsTexts:
    """The contract. A new gateway needs a Wire of its own and its name in the fixture; a profile needs nothing."""

    def test_it_believes_what_its_provider_signed(self, wire: Wire) -> None:
        assert wire.gateway.is_authentic(call(wire, text_of(wire)))

    def test_it_believes_a_call_with_fields_that_it_does_not_know(self, wire: Wire) -> None:
        assert wire.gateway.is_authentic(call(wire, {**text_of(wire), "Новое": "🕋", "empty": ""}))

    def test_it_believes_a_call_with_a_query_that_was_signed(self, wire: Wire) -> None:
        assert wire.gateway.is_authentic(call(wire, text_of(wire), query="?ref=1&again=%D8%B1"))

    def test_it_does_not_believe_a_call_without_a_signature(self, wire: Wire) -> None:
        assert not wire.gateway.is_authentic(wire.call(PUBLIC_URL, text_of(wire), None))

    @pytest.mark.parametrize(
        "signature", ["", " ", "0" * 64, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "\xd8\xb1\xff", "a" * 9999]
    )
    def test_it_does_not_believe_a_wrong_signature(self, wire: Wire, signature: str) -> None:
        assert not wire.gateway.is_authentic(call(wire, text_of(wire), signature=signature))

    def test_it_does_not_believe_a_signature_that_is_cut_short(self, wire: Wire) -> None:
        form = text_of(wire)
        signature = wire.sign(call(wire, form).url, form)
        assert not wire.gateway.is_authentic(call(wire, form, signature=signature[:-1]))

    def test_it_reads_sender_id_and_text(self, wire: Wire) -> None:
        heard = wire.gateway.read_texts(call(wire, wire.text(ZAHRA["mobile"], TEXT_ID, f"  {PERSIAN}\n")))[0]
        assert heard.gateway == wire.gateway.name
        assert heard.provider_id == TEXT_ID or (len(wire.ids) == 1 and 0 < len(heard.provider_id) <= 64)
        assert (heard.sender, heard.text) == (ZAHRA["mobile"], f"  {PERSIAN}\n")

    def test_it_reads_an_empty_text_and_none_at_all_alike(self, wire: Wire) -> None:
        form = wire.text(ZAHRA["mobile"], TEXT_ID, "")
        assert wire.gateway.read_texts(call(wire, form))[0].text == ""
        bare = {name: form[name] for name in wire.ids}
        assert wire.gateway.read_texts(call(wire, bare))[0].text == ""

    @pytest.mark.parametrize("lacking", [0, 1])
    @pytest.mark.parametrize("value", [None, ""])
    def test_it_calls_a_text_without_sender_or_id_malformed(self, wire: Wire, lacking: int, value: str | None) -> None:
        form, name = text_of(wire), wire.ids[min(lacking, len(wire.ids) - 1)]
        del form[name]
        if value is not None:
            form[name] = value
        with pytest.raises(Malformed):
            wire.gateway.read_texts(call(wire, form))

    @pytest.mark.parametrize("name", ["M" * 65, "M\x001"])
    def test_it_calls_an_id_that_can_not_be_kept_malformed(self, wire: Wire, name: str) -> None:
        if len(wire.ids) == 2:
            with pytest.raises(Malformed):
                wire.gateway.read_texts(call(wire, wire.text(ZAHRA["mobile"], name, "")))

    def test_it_keeps_texts_numbers_and_secrets_out_of_every_log(
        self, wire: Wire, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with Loud(caplog):
            wire.gateway.is_authentic(call(wire, text_of(wire), signature="wrong"))
            wire.gateway.read_texts(call(wire, text_of(wire)))
        seen = caplog.text + "".join(capfd.readouterr())
        for secret in ("9121234567", "0012345679", TOKEN):
            assert secret not in seen


def assert_unread(wire: Wire, form: Form) -> None:
    """It is malformed; or, where it is one of several that a call brings, left out."""
    brought = call(wire, form, "receipts")
    if getattr(wire, "brings_several", False):
        assert wire.gateway.read_receipts(brought) == []
        return
    with pytest.raises(Malformed):
        wire.gateway.read_receipts(brought)


@pytest.mark.parametrize("wire", [*CALLING, *BRINGING_RECEIPTS], indirect=True)
class TestEveryGatewayThatBringsReceipts:
    @pytest.mark.parametrize("name", ["M" * 65, "M\x001"])
    def test_it_calls_an_id_that_can_not_be_kept_malformed(self, wire: Wire, name: str) -> None:
        assert_unread(wire, wire.receipt(name, "delivered"))

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("sent", DeliveryStatus.SENT),
            ("delivered", DeliveryStatus.DELIVERED),
            ("undelivered", DeliveryStatus.FAILED),
        ],
    )
    def test_it_reads_how_far_a_text_has_come(self, wire: Wire, word: str, status: DeliveryStatus) -> None:
        (receipt,) = wire.gateway.read_receipts(call(wire, wire.receipt(TEXT_ID, word), "receipts"))
        assert (receipt.gateway, receipt.provider_id, receipt.status) == (wire.gateway.name, TEXT_ID, status)

    @pytest.mark.parametrize("status", ["", "dreaming", "DELIVERED", "0"])
    def test_it_reads_nothing_from_a_status_that_it_does_not_know(self, wire: Wire, status: str) -> None:
        assert not wire.gateway.read_receipts(call(wire, wire.receipt(TEXT_ID, status), "receipts"))

    def test_it_calls_a_receipt_without_an_id_malformed(self, wire: Wire) -> None:
        for form in ({}, wire.receipt("", "delivered")):
            assert_unread(wire, form)


@pytest.mark.parametrize("wire", [*CALLING, *DESCRIBED], indirect=True)
class TestEveryGatewayThatSends:
    @pytest.mark.parametrize("words", [PERSIAN, ENGLISH, "🕋" * 400])
    def test_it_hands_a_text_over_whole(self, wire: Wire, words: str) -> None:
        name = wire.gateway.send(outbound(words))
        assert 0 < len(name) <= 64
        assert wire.arrived(ZAHRA["mobile"]) == [words]
        assert wire.arrived(OMID["mobile"]) == []

    def test_it_names_every_text_differently(self, wire: Wire) -> None:
        assert len({wire.gateway.send(outbound(ref=ref)) for ref in range(1, 6)}) == 5

    def test_it_keeps_texts_numbers_and_secrets_out_of_every_log(
        self, wire: Wire, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with Loud(caplog):
            wire.gateway.send(outbound(PERSIAN))
        seen = caplog.text + "".join(capfd.readouterr())
        for secret in ("123456", "9121234567", "کد فاخر", TOKEN, *getattr(wire, "secrets", ())):
            assert secret not in seen


@pytest.mark.parametrize("wire", SIGNING, indirect=True)
class TestEveryGatewayThatSigns:
    """The contract of those whose calls carry more than a secret."""

    @pytest.mark.parametrize("change", ["another value", "a field more", "a field less", "a second value"])
    def test_it_does_not_believe_a_form_that_was_tampered_with(self, wire: Wire, change: str) -> None:
        form = text_of(wire)
        tampered: MultiDict[str, str] = MultiDict(form)
        match change:
            case "another value":
                tampered[wire.ids[0]] = OMID["mobile"]
            case "a field more":
                tampered["more"] = "1"
            case "a field less":
                del tampered[wire.ids[1]]
            case "a second value":
                tampered.setlist(wire.ids[0], [OMID["mobile"], ZAHRA["mobile"]])
        assert not wire.gateway.is_authentic(call(wire, form, form=tampered))

    @pytest.mark.parametrize(
        "url",
        [
            "https://ramz.example.ir/webhooks/{name}/receipts",
            "https://evil.example.ir/webhooks/{name}/sms",
            "http://ramz.example.ir/webhooks/{name}/sms",
            "https://ramz.example.ir/webhooks/{name}/sms?more=1",
            "https://ramz.example.ir:99999999/webhooks/{name}/sms",
            "https://[ramz/webhooks/{name}/sms",
            "",
        ],
    )
    def test_it_does_not_believe_a_call_signed_for_another_address(self, wire: Wire, url: str) -> None:
        assert not wire.gateway.is_authentic(call(wire, text_of(wire), url=url.format(name=wire.gateway.name)))

    def test_it_does_not_believe_what_another_key_signed(self, wire: Wire) -> None:
        form = text_of(wire)
        url = call(wire, form).url
        other_twilio = twilio_standin.sign("another token", url, form)
        other_simulated = Simulated(
            Store("sqlite://"), Keyring.of({"k1": bytes(32)}), StoppedClock(), SystemRandomSource()
        ).sign(url, form)
        for signature in (other_twilio, other_simulated):
            assert not wire.gateway.is_authentic(call(wire, form, signature=signature))


class Loud:
    """Every logger at DEBUG, whatever it was set to, and all of them captured.

    But for SQLAlchemy's, which at that level write down every row, and which log.set_up silences.
    """

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        self.levels: dict[logging.Logger, int] = {}

    def __enter__(self) -> None:
        self.caplog.set_level(logging.DEBUG)
        names = [name for name in logging.root.manager.loggerDict if not name.startswith("sqlalchemy")]
        found = [logging.getLogger(name) for name in names]
        self.levels = {logger: logger.level for logger in found}
        for logger in found:
            logger.setLevel(logging.DEBUG)

    def __exit__(self, *_error: object) -> None:
        for logger, level in self.levels.items():
            logger.setLevel(level)


def test_it_would_be_seen_in_the_log_if_a_text_were_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Loud(caplog):
        logging.getLogger("twilio.http_client").debug(PERSIAN)
    assert "123456" in caplog.text


class TestTwiliosSignature:
    """https://www.twilio.com/docs/usage/security"""

    URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
    FORM: Mapping[str, str] = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "Caller": "+14158675309",
        "To": "+18005551212",
    }
    RIGHT = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

    def believes(self, twilios: Twilios, *, url: Any = URL, signature: Any = RIGHT, form: Any = None) -> bool:
        gateway = twilios(TWILIO_AUTH_TOKEN="12345")
        found = MultiDict(self.FORM) if form is None else form
        return gateway.is_authentic(Call(url, {SIGNATURE: signature}, found, {}))

    def test_it_agrees_with_the_published_example(self, twilios: Twilios) -> None:
        assert self.believes(twilios)

    @pytest.mark.parametrize("tokens", ["12345,the-old-one", "the-new-one, 12345"])
    def test_while_the_token_is_changed_either_signs(self, twilios: Twilios, tokens: str) -> None:
        gateway = twilios(TWILIO_AUTH_TOKEN=tokens)
        found = MultiDict(self.FORM)
        assert gateway.is_authentic(Call(self.URL, {SIGNATURE: self.RIGHT}, found, {}))
        whole = RequestValidator(tokens).compute_signature(self.URL, found)
        empty = RequestValidator("").compute_signature(self.URL, found)
        for wrong in (whole, empty):
            assert not gateway.is_authentic(Call(self.URL, {SIGNATURE: wrong}, found, {}))

    def test_the_stand_in_signs_as_twilio_does(self) -> None:
        assert twilio_standin.sign("12345", self.URL, self.FORM) == self.RIGHT
        form = {"b": "2", "a": "ی", "empty": ""}
        expected = RequestValidator(TOKEN).compute_signature(PUBLIC_URL, form)
        assert twilio_standin.sign(TOKEN, PUBLIC_URL, form) == expected

    def test_it_does_not_agree_once_anything_is_changed(self, twilios: Twilios) -> None:
        assert not self.believes(twilios, url=self.URL.replace("bar=2", "bar=3"))
        assert not self.believes(twilios, form=MultiDict({**self.FORM, "Digits": "1235"}))
        assert not self.believes(twilios, signature=self.RIGHT.swapcase())

    @pytest.mark.parametrize("signature", [None, "", b"bytes", 7, ["list"]])
    def test_it_is_not_upset_by_a_strange_signature(self, twilios: Twilios, signature: Any) -> None:
        assert not self.believes(twilios, signature=signature)

    @pytest.mark.parametrize(
        "url", [None, "", "https://h:0x50/", "https://h:70000/", "https://h:-1/", "https://[::1/", "//", "\ud800"]
    )
    def test_it_is_not_upset_by_an_impossible_address(self, twilios: Twilios, url: Any) -> None:
        assert not self.believes(twilios, url=url)

    @pytest.mark.parametrize("value", [None, 7, b"bytes", "\ud800"])
    def test_it_is_not_upset_by_a_strange_form(self, twilios: Twilios, value: Any) -> None:
        assert not self.believes(twilios, form=MultiDict({"Body": value}))

    def test_it_takes_the_signature_of_the_token_and_not_of_the_api_key(self, twilios: Twilios) -> None:
        gateway = twilios(TWILIO_API_KEY_SID="SK1", TWILIO_API_KEY_SECRET="an API key's secret")
        form = twilio_standin.text_form(ZAHRA["mobile"], "")
        url = f"{PUBLIC_URL}/webhooks/twilio/sms"
        for token, right in ((TOKEN, True), ("an API key's secret", False)):
            headers = {SIGNATURE: twilio_standin.sign(token, url, form)}
            assert gateway.is_authentic(Call(url, headers, MultiDict(form), {})) is right


class TestTwiliosReceipts:
    def read(self, twilio: Twilio, query: Mapping[str, str] | None = None, **form: str) -> Any:
        (receipt,) = twilio.read_receipts(Call("", {}, form, query or {}))
        return receipt

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("accepted", DeliveryStatus.ACCEPTED),
            ("scheduled", DeliveryStatus.ACCEPTED),
            ("queued", DeliveryStatus.ACCEPTED),
            ("sending", DeliveryStatus.SENDING),
            ("sent", DeliveryStatus.SENT),
            ("delivered", DeliveryStatus.DELIVERED),
            ("read", DeliveryStatus.DELIVERED),
            ("undelivered", DeliveryStatus.FAILED),
            ("failed", DeliveryStatus.FAILED),
            ("canceled", DeliveryStatus.FAILED),
        ],
    )
    def test_it_knows_every_status(self, twilio: Twilio, word: str, status: DeliveryStatus) -> None:
        assert self.read(twilio, MessageSid="SM1", MessageStatus=word).status is status

    def test_it_reads_the_older_names_of_the_fields_too(self, twilio: Twilio) -> None:
        receipt = self.read(twilio, SmsSid="SM1", SmsStatus="sent")
        assert (receipt.provider_id, receipt.status) == ("SM1", DeliveryStatus.SENT)

    def test_it_reads_why_a_text_failed(self, twilio: Twilio) -> None:
        failed = self.read(twilio, MessageSid="SM1", MessageStatus="undelivered", ErrorCode="30003")
        assert (failed.error, failed.code) == (Reason.UNREACHABLE, "30003")
        assert self.read(twilio, MessageSid="SM1", MessageStatus="undelivered").error is Reason.UNKNOWN
        assert self.read(twilio, MessageSid="SM1", MessageStatus="sent", ErrorCode="30003").error is None

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("21610", Reason.OPTED_OUT),
            ("30003", Reason.UNREACHABLE),
            ("30004", Reason.BLOCKED),
            ("30005", Reason.UNREACHABLE),
            ("30006", Reason.NOT_A_MOBILE),
            ("30007", Reason.SPAM),
            ("30008", Reason.UNKNOWN),
            ("30036", Reason.EXPIRED),
            ("39999", Reason.UNKNOWN),
        ],
    )
    def test_it_says_so_in_the_words_of_all_providers(self, twilio: Twilio, code: str, reason: Reason) -> None:
        assert self.read(twilio, MessageSid="SM1", MessageStatus="failed", ErrorCode=code).error is reason

    def test_it_reads_our_own_number_of_the_text_from_the_address(self, twilio: Twilio) -> None:
        assert self.read(twilio, {"ref": "42"}, MessageSid="SM1", MessageStatus="sent").ref == 42

    @pytest.mark.parametrize("ref", ["", "x", "-1", "٤٢", "4 2", "9" * 18, "1e3"])
    def test_it_reads_no_number_from_what_is_none(self, twilio: Twilio, ref: str) -> None:
        assert self.read(twilio, {"ref": ref}, MessageSid="SM1", MessageStatus="sent").ref is None


class TestWhatTwilioHasActedUpon:
    """OptOutType: STOP, START and HELP that Twilio answers by itself, by words that may be none of ours."""

    def hear(self, twilio: Twilio, words: str, done: str | None) -> str:
        form = twilio_standin.text_form(ZAHRA["mobile"], words, **({} if done is None else {"OptOutType": done}))
        return twilio.read_texts(Call("", {}, form, {}))[0].text

    @pytest.mark.parametrize(
        ("words", "done", "heard"),
        [
            ("CANCEL", "STOP", "STOP"),
            ("end", "STOP", "STOP"),
            ("UNSTOP", "START", "START"),
            ("info", "HELP", "HELP"),
            ("CANCEL", None, "CANCEL"),
            ("CANCEL", "", "CANCEL"),
            ("RESET 0012345679", "SOMETHING", "RESET 0012345679"),
        ],
    )
    def test_a_text_is_heard_as_what_twilio_has_made_of_it(
        self, twilio: Twilio, words: str, done: str | None, heard: str
    ) -> None:
        assert self.hear(twilio, words, done) == heard

    @pytest.mark.parametrize(("done", "is_answered"), [("STOP", True), ("START", True), ("HELP", False), ("", False)])
    def test_it_has_confirmed_a_stop_and_a_start_itself(self, twilio: Twilio, done: str, is_answered: bool) -> None:
        form = twilio_standin.text_form(ZAHRA["mobile"], "STOP", OptOutType=done)
        assert twilio.read_texts(Call("", {}, form, {}))[0].is_answered is is_answered


class TestSendingByTwilio:
    def test_it_names_the_account_as_its_user(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        twilio.send(outbound())
        (message,) = standin.taken
        assert message.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        assert (message.user, message.password) == (ACCOUNT, TOKEN)

    def test_it_can_send_under_an_api_key(self, twilios: Twilios, standin: TwilioStandIn) -> None:
        standin.known = {"SK1": "the key's secret"}
        twilios(TWILIO_API_KEY_SID="SK1", TWILIO_API_KEY_SECRET="the key's secret").send(outbound())
        (message,) = standin.taken
        assert message.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        assert (message.user, message.password) == ("SK1", "the key's secret")

    def test_it_returns_twilios_id(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        name = twilio.send(outbound())
        assert name == standin.taken[0].sid
        assert name.startswith("SM") and len(name) == 34

    def test_it_sends_from_a_number(self, twilios: Twilios, standin: TwilioStandIn) -> None:
        twilios(TWILIO_SENDER="10005000").send(outbound())
        assert standin.taken[0].form["From"] == "10005000"
        assert "MessagingServiceSid" not in standin.taken[0].form

    def test_it_sends_by_a_messaging_service(self, twilios: Twilios, standin: TwilioStandIn) -> None:
        service = "MG" + "0" * 32
        twilios(TWILIO_SENDER=service).send(outbound())
        assert standin.taken[0].form["MessagingServiceSid"] == service
        assert "From" not in standin.taken[0].form

    @pytest.mark.parametrize(("validity", "asked"), [(599, "599"), (1, "1"), (36_000, "36000"), (86_400, "36000")])
    def test_it_asks_twilio_to_drop_a_text_when_its_time_is_up(
        self, twilio: Twilio, standin: TwilioStandIn, validity: int, asked: str
    ) -> None:
        twilio.send(outbound(validity=validity))
        assert standin.taken[0].form["ValidityPeriod"] == asked

    def test_it_asks_for_receipts_that_name_our_text(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        twilio.send(outbound(ref=42))
        assert standin.taken[0].form["StatusCallback"] == f"{PUBLIC_URL}/webhooks/twilio/receipts?ref=42"

    def test_it_asks_twilio_to_keep_nothing(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        twilio.send(outbound())
        form = standin.taken[0].form
        assert (form["ContentRetention"], form["AddressRetention"]) == ("discard", "obfuscate")

    def test_it_sends_all_the_same_where_the_account_can_not_have_that(
        self, twilio: Twilio, standin: TwilioStandIn
    ) -> None:
        standin.allows_retention = False
        twilio.send(outbound("first"))
        twilio.send(outbound("second"))
        assert standin.texts_to(ZAHRA["mobile"]) == ["first", "second"]
        assert len(standin.calls) == 3, "it asks once, and then no more"

    def test_it_keeps_asking_twilio_to_keep_nothing_after_other_errors(
        self, twilio: Twilio, standin: TwilioStandIn
    ) -> None:
        standin.trouble(twilio_standin.NOT_A_MOBILE)
        with pytest.raises(SendFailed):
            twilio.send(outbound())
        twilio.send(outbound())
        assert standin.taken[0].form["ContentRetention"] == "discard"

    def test_it_finds_another_base_address_with_a_path(self, twilios: Twilios, standin: TwilioStandIn) -> None:
        gateway = twilios(TWILIO_API_URL=f"{standin.url}/proxy/")
        with pytest.raises(SendFailed):
            gateway.send(outbound())
        assert standin.calls[0].path == f"/proxy/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    def test_it_uses_one_connection_for_many_texts(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        for _ in range(10):
            twilio.send(outbound())
        assert standin.connections == 1


CUT_SHORT = twilio_standin.Cut(midway=True)
EMPTY = twilio_standin.Page("")
PROXY = twilio_standin.Page("<html>Welcome to the hotel's WiFi</html>", 200)
PROXY_ERROR = twilio_standin.Page("<html>Bad gateway</html>", 502)
REDIRECT = twilio_standin.Page("", 302)
NO_SID = twilio_standin.Page('{"status": "queued"}', content_type="application/json")
NULL_SID = twilio_standin.Page('{"sid": null}', content_type="application/json")
LIST = twilio_standin.Page("[]", content_type="application/json")
NULL = twilio_standin.Page("null", content_type="application/json")
NUMBER = twilio_standin.Page("7", content_type="application/json")
STRANGE_SID = twilio_standin.Page('{"sid": {"a": 1}}', content_type="application/json")
NO_SUCH_SENDER = twilio_standin.Refusal(400, 21606, "The From number is not owned by your account")
LONG_SID = twilio_standin.Page(f'{{"sid": "{"S" * 65}"}}', content_type="application/json")
BAD_DATE = twilio_standin.Page(f'{{"sid": "SM{"0" * 32}", "date_created": 7}}', content_type="application/json")


class TestTwilioInTrouble:
    """Every way in which a send can fail, and what the courier is told of it."""

    @pytest.mark.parametrize(
        ("trouble", "permanent"),
        [
            pytest.param(twilio_standin.TOO_MANY, False, id="429"),
            pytest.param(twilio_standin.SERVER_ERROR, False, id="500"),
            pytest.param(twilio_standin.UNAVAILABLE, False, id="503"),
            pytest.param(twilio_standin.UNAUTHORISED, False, id="401"),
            pytest.param(twilio_standin.NOT_FOUND, False, id="404"),
            pytest.param(NO_SUCH_SENDER, False, id="21606 not our sender"),
            pytest.param(twilio_standin.Refusal(400, 29999), False, id="an error that nobody knows"),
            pytest.param(twilio_standin.OPTED_OUT, True, id="21610 opted out"),
            pytest.param(twilio_standin.NOT_A_NUMBER, True, id="21211 not a number"),
            pytest.param(twilio_standin.NOT_A_MOBILE, True, id="21614 not a mobile"),
            pytest.param(twilio_standin.Cut(), False, id="cut"),
            pytest.param(CUT_SHORT, False, id="cut midway"),
            pytest.param(EMPTY, False, id="an empty answer"),
            pytest.param(PROXY, False, id="a proxy's page"),
            pytest.param(PROXY_ERROR, False, id="a proxy's error"),
            pytest.param(REDIRECT, False, id="a redirect"),
            pytest.param(NO_SID, False, id="no sid"),
            pytest.param(NULL_SID, False, id="null sid"),
            pytest.param(LIST, False, id="a list"),
            pytest.param(NULL, False, id="null"),
            pytest.param(NUMBER, False, id="a number"),
            pytest.param(STRANGE_SID, False, id="a strange sid"),
            pytest.param(BAD_DATE, False, id="a date that is none"),
        ],
    )
    def test_it_says_whether_to_try_again(
        self, twilio: Twilio, standin: TwilioStandIn, trouble: twilio_standin.Trouble, permanent: bool
    ) -> None:
        standin.trouble(trouble, None)
        with pytest.raises(SendFailed) as failed:
            twilio.send(outbound())
        assert failed.value.permanent is permanent

    @pytest.mark.parametrize(
        ("trouble", "reason", "code"),
        [
            (twilio_standin.OPTED_OUT, Reason.OPTED_OUT, "21610"),
            (twilio_standin.NOT_A_NUMBER, Reason.NOT_A_MOBILE, "21211"),
            (twilio_standin.NOT_A_MOBILE, Reason.NOT_A_MOBILE, "21614"),
            (twilio_standin.TOO_MANY, Reason.BUSY, "20429"),
            (twilio_standin.UNAUTHORISED, Reason.REFUSED, "20003"),
            (twilio_standin.NOT_FOUND, Reason.REFUSED, "20404"),
            (NO_SUCH_SENDER, Reason.REFUSED, "21606"),
            (PROXY_ERROR, Reason.BUSY, "502"),
            (twilio_standin.Cut(), Reason.NO_CONNECTION, ""),
            (PROXY, Reason.NO_SENSE, ""),
        ],
    )
    def test_it_gives_the_reason_in_the_words_of_all_providers(
        self, twilio: Twilio, standin: TwilioStandIn, trouble: twilio_standin.Trouble, reason: Reason, code: str
    ) -> None:
        standin.trouble(trouble, None)
        with pytest.raises(SendFailed) as failed:
            twilio.send(outbound())
        assert (failed.value.reason, failed.value.code) == (reason, code)

    def test_it_does_not_wait_for_ever(self, twilios: Twilios, standin: TwilioStandIn) -> None:
        standin.trouble(twilio_standin.Hang(), None)
        began = time.monotonic()
        with pytest.raises(SendFailed) as failed:
            twilios(patience=0.2).send(outbound())
        assert time.monotonic() - began < READ_SECONDS
        assert (failed.value.reason, failed.value.permanent) == ("timeout", False)

    def test_it_waits_for_a_slow_answer(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        standin.trouble(twilio_standin.Slow(0.3))
        assert twilio.send(outbound()) == standin.taken[0].sid

    def test_it_says_that_nobody_is_there(self, twilios: Twilios) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            gateway = twilios(TWILIO_API_URL=f"http://127.0.0.1:{unused.getsockname()[1]}")
            with pytest.raises(SendFailed) as failed:
                gateway.send(outbound())
        assert (failed.value.reason, failed.value.permanent) == ("no_connection", False)

    def test_it_sends_again_over_a_new_connection_after_any_trouble(
        self, twilio: Twilio, standin: TwilioStandIn
    ) -> None:
        for trouble in (twilio_standin.Cut(), CUT_SHORT, PROXY, twilio_standin.SERVER_ERROR):
            standin.trouble(trouble)
            with pytest.raises(SendFailed):
                twilio.send(outbound())
        assert twilio.send(outbound(ENGLISH))
        assert standin.texts_to(ZAHRA["mobile"])[-1] == ENGLISH

    @pytest.mark.parametrize(
        "trouble", [twilio_standin.Hang(), twilio_standin.OPTED_OUT, twilio_standin.Cut(), PROXY, CUT_SHORT]
    )
    def test_nothing_of_the_text_reaches_a_log_or_the_error(
        self,
        twilios: Twilios,
        standin: TwilioStandIn,
        caplog: pytest.LogCaptureFixture,
        trouble: twilio_standin.Trouble,
    ) -> None:
        standin.trouble(trouble, None)
        gateway = twilios(patience=0.2)
        with Loud(caplog), pytest.raises(SendFailed) as failed:
            gateway.send(outbound())
        shown = f"{caplog.text} {failed.value!r} {failed.value.__cause__!r} {outbound()!r}"
        for secret in ("123456", "9121234567", "فاخر", TOKEN):
            assert secret not in shown

    def test_an_id_too_long_to_keep_is_cut(self, twilio: Twilio, standin: TwilioStandIn) -> None:
        standin.trouble(LONG_SID)
        assert len(twilio.send(outbound())) == 64
