"""A service of two processes on providers that fail in every way: one that calls, one that is asked."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from sqlalchemy import func, select

from store.tables import DeliveryStatus, InboundMessageRow, OutboundMessageRow, PolledMessageRow, table
from tests.providers import kavenegar, magfa
from tests.providers.standin import HALF, HTML, TOO_MANY, WELCOME, Cut, Hang, ProviderStandIn, Trouble, redirect_to
from tests.providers.wire import FILES, environment, standin_of
from tests.support.databases import Fresh
from tests.support.parts import KEYS, eventually
from tests.system.test_service import Pilgrim, Service, free_port, serve, some

pytestmark = pytest.mark.process

INBOUND, MESSAGE, WAITING = table(InboundMessageRow), table(OutboundMessageRow), table(PolledMessageRow)
ELSEWHERE = redirect_to("http://127.0.0.1:9/elsewhere")
TROUBLES: list[Trouble] = [
    TOO_MANY, HTML, WELCOME, HALF, ELSEWHERE,
    Cut(), Cut(midway=True, taken=True), Cut(taken=True), Hang(taken=True), Hang(),
]  # fmt: skip
ITEMS = {"kavenegar": [kavenegar.item(6), kavenegar.refusal(418)], "magfa": [magfa.item(15, 0), magfa.envelope(14)]}


# How often it is asked, which is a profile's to say: seldom enough not to burden a provider, and here not to wait for.
SELDOM = {"every = 3": "every = 2", "from_seconds = 20": "from_seconds = 5"}


def often_asked(name: str, folder: Path) -> Path:
    """A provider's profile, by which it is asked more often."""
    written = FILES[name].read_text("utf-8")
    for seldom, often in SELDOM.items():
        assert written.count(seldom) == 1
        written = written.replace(seldom, often)
    (folder / "profile.toml").write_text(written, "utf-8")
    return folder / "profile.toml"


@dataclass
class ProviderService(Service):
    """`flask serve` with two processes, and its provider."""

    name: str = ""

    @property
    def provider(self) -> ProviderStandIn:
        return cast("ProviderStandIn", self.standin)

    @property
    def settings(self) -> dict[str, str]:
        return environment(self.name, self.provider) | self.more

    def start(self) -> None:
        own = {"DATABASE_URL": self.database_url, "SECRET_KEYS": KEYS, "PORT": str(self.port), "WORKERS": "2"}
        self.process = serve({**own, **self.settings}, self.folder / "printed")
        assert eventually(self.is_ready), self.printed

    def push(self, what: str, **fields: str) -> tuple[int, str]:
        """Call as Kavenegar does; status and words."""
        secret = self.settings["HTTP_KAVENEGAR_INBOUND_SECRET"]
        url = f"{self.address}/webhooks/http-kavenegar/{what}"
        found = requests.post(url, params={"secret": secret}, data=fields, timeout=15)
        return found.status_code, found.text

    def bring(self, pilgrim: Pilgrim, words: str, number: int) -> None:
        """Have a text come in, twice."""
        if self.name == "kavenegar":
            fields = {
                "from": pilgrim.mobile.replace("+98", "0"),
                "to": "10004346",
                "message": words,
                "messageid": str(number),
            }
            assert [self.push("sms", **fields) for _ in range(2)] == [(200, "")] * 2
        else:
            self.provider.bring(pilgrim.mobile, words)
            self.provider.waiting.append(self.provider.waiting[-1])

    def wait_until_sent(self) -> bool:
        """Wait until no text waits to be sent; whether it came to that."""
        queued = select(func.count()).where(MESSAGE.c.status == int(DeliveryStatus.QUEUED))
        return eventually(lambda: count(self, queued) == 0, 90)

    def told(self, state: str) -> None:
        """Have every text that was taken reach this state."""
        for taken in list(self.provider.taken):
            self.provider.states[taken.id] = state
            if self.name == "kavenegar":
                assert [self.push("receipts", messageid=taken.id, status=state) for _ in range(2)] == [(200, "")] * 2


@contextmanager
def service_on(name: str, database_url: str, folder: Path, **more: str) -> Iterator[ProviderService]:
    with standin_of(name) as standin:
        service = ProviderService(database_url, cast("Any", standin), folder, free_port(), more, name=name)
        try:
            service.start()
            yield service
        finally:
            standin.mend()
            if service.process and service.process.poll() is None:
                service.stop()


@pytest.fixture(params=["kavenegar-sqlite", "magfa-sqlite", "kavenegar-postgresql", "magfa-postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProviderService]:
    name, _, database = request.param.partition("-")
    fresh: Fresh = request.getfixturevalue(f"fresh_{database}")
    often = {"HTTP_MAGFA_PROFILE": str(often_asked(name, tmp_path))} if name == "magfa" else {}
    with service_on(name, fresh(), tmp_path, **often) as service:
        yield service


def count(service: ProviderService, statement: Any) -> int:
    ((number,),) = service.rows(statement)
    return int(number)


def test_everybody_gets_a_password_whatever_the_provider_does(service: ProviderService) -> None:
    people = some(service.database_url, len(TROUBLES) + 2)
    sending, fetching = ("sms/send", "sms/receive") if service.name == "kavenegar" else ("v2/send", "v2/messages")
    service.provider.trouble(*TROUBLES, *ITEMS[service.name], at=sending)
    service.provider.trouble(HTML, HALF, TOO_MANY, ELSEWHERE, Cut(), at=fetching)
    for number, pilgrim in enumerate(people, 1):
        service.bring(pilgrim, f"رمز {pilgrim.national_id}", number)
    codes = {pilgrim: service.code(pilgrim, 90) for pilgrim in people}
    # A code that is back before its call has ended dies with its text unsent, as far as anybody knows here.
    assert service.wait_until_sent()
    service.provider.trouble(*TROUBLES, at=sending)
    for number, (pilgrim, code) in enumerate(codes.items(), 1001):
        service.bring(pilgrim, code, number)
    everyone = lambda: all(service.passwords(pilgrim) for pilgrim in people)  # noqa: E731
    assert service.standin.wait(everyone, 90), service.printed
    assert service.wait_until_sent()

    for pilgrim in people:
        texts = service.provider.texts_to(pilgrim.mobile)
        assert len(texts) == len(set(texts)), "no second copy of any"
        assert (len(service.codes(pilgrim)), len(service.passwords(pilgrim))) == (1, 1)
    assert count(service, select(func.count()).select_from(INBOUND)) == 2 * len(people)
    assert eventually(lambda: count(service, select(func.count()).select_from(WAITING)) == 0)

    service.told("10" if service.name == "kavenegar" else "1")
    undelivered = select(func.count()).where(MESSAGE.c.status != int(DeliveryStatus.DELIVERED))
    assert eventually(lambda: count(service, undelivered) == 0, 90), service.printed

    assert service.stop() == 0
    secrets = [*service.provider.SETTINGS.values(), *codes.values()]
    secrets += [
        word for pilgrim in people for word in (*service.passwords(pilgrim), pilgrim.mobile[-10:], pilgrim.national_id)
    ]
    public = {"10004346", magfa.USER, magfa.DOMAIN, magfa.LINE}
    assert [secret for secret in secrets if secret not in public and secret in service.printed] == []
    assert "Traceback" not in service.printed


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_one_process_asks_and_another_takes_over_when_it_dies(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    fresh: Fresh = request.getfixturevalue(f"fresh_{database}")
    with service_on("magfa", fresh(), tmp_path) as service:

        def fetched() -> list[Any]:
            return [it for it in service.provider.asked if "/messages/" in it.path]

        assert service.standin.wait(fetched)
        before, began = len(fetched()), time.monotonic()
        assert service.standin.wait(lambda: len(fetched()) >= before + 3)
        assert time.monotonic() - began > 3 * 3 - 2, "every three seconds, however many processes there are"
        people = some(service.database_url, 30)
        for pilgrim in people:
            service.provider.bring(pilgrim.mobile, f"RESET {pilgrim.national_id}")
        assert service.standin.wait(lambda: not service.provider.waiting)
        assert eventually(
            lambda: count(service, select(func.count()).select_from(WAITING)) > 0 or service.provider.taken
        )
        service.kill()
        service.start()
        assert all(service.code(pilgrim, 90) for pilgrim in people)
