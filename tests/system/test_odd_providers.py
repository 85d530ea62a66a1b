"""A service on eight providers with odd manners at once: passwords are recovered by each, whatever befalls it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from store.tables import DeliveryStatus, OutboundMessageRow, table
from tests.providers.odd import NEEDED, ODD, SECRETS, Odd, settings_of
from tests.providers.standin import HALF, HTML, TOO_MANY, WELCOME, Cut, Trouble, redirect_to
from tests.support.databases import Fresh
from tests.support.parts import KEYS, eventually
from tests.system.test_service import CODE, PASSWORD, Pilgrim, Service, serve, some

pytestmark = pytest.mark.process

MESSAGE = table(OutboundMessageRow)
PUBLIC_URL = "https://ramz.example.ir"
TROUBLES: list[Trouble] = [HTML, TOO_MANY, Cut(), WELCOME, HALF, redirect_to("http://127.0.0.1:9/")]


class OddService(Service):
    """`flask serve` on all of them, each a gateway."""

    providers: dict[str, Odd]

    def start(self) -> None:
        own = {"DATABASE_URL": self.database_url, "SECRET_KEYS": KEYS, "PORT": str(self.port), "WORKERS": "1"}
        gateways = {"GATEWAYS": ",".join(f"http-{name}" for name in self.providers), "PUBLIC_URL": PUBLIC_URL}
        needed = {key: value for each in self.providers.values() for key, value in settings_of(each).items()}
        self.process = serve({**own, **gateways, **needed}, self.folder / "printed")
        assert eventually(self.is_ready), self.printed

    def bring(self, provider: Odd, pilgrim: Pilgrim, words: str, number: int) -> None:
        if not provider.calls:
            provider.bring(pilgrim.mobile, words)
            return
        answers = {
            push.to(self.address, f"http-{provider.name}")[0]
            for push in provider.push_text(pilgrim.mobile, words, number)
        }
        assert answers == {200}

    def found(self, pilgrim: Pilgrim, pattern: Any) -> list[str]:
        """What any of the providers has sent a pilgrim that looks so."""
        texts = [text for each in self.providers.values() for text in each.texts_to(pilgrim.mobile)]
        return [word for text in texts for word in pattern.findall(text)]

    def statuses(self) -> set[int]:
        return {row.status for row in self.rows(select(MESSAGE.c.status))}

    def deliver(self) -> None:
        """Have every text that was taken arrive, and every provider say so."""
        known = {row.provider_id for row in self.rows(select(MESSAGE.c.provider_id))}
        for provider in self.providers.values():
            names = {it.id: it.uid for it in provider.taken if {it.id, it.uid} & known}
            for push in provider.push_receipts(names):
                assert push.to(self.address, f"http-{provider.name}")[0] == 200


@pytest.fixture
def service(fresh_sqlite: Fresh, tmp_path: Path) -> Iterator[OddService]:
    with ExitStack() as stack:
        providers = {name: stack.enter_context(make()) for name, make in ODD.items()}
        service = OddService(fresh_sqlite(), cast("Any", None), tmp_path)
        service.providers = providers
        stack.callback(lambda: service.process and service.process.poll() is None and service.stop())
        service.start()
        yield service


def test_each_recovers_passwords_in_its_own_manner_and_in_trouble(service: OddService) -> None:
    people = dict(zip(ODD, some(service.database_url, len(ODD)), strict=True))
    for number, (name, pilgrim) in enumerate(people.items(), 1):
        service.bring(service.providers[name], pilgrim, f"رمز {pilgrim.national_id}", number)
    everybody = people.values()
    assert eventually(lambda: all(service.found(it, CODE) for it in everybody), 30), service.printed
    for name, pilgrim in people.items():
        assert service.providers[name].texts_to(pilgrim.mobile), f"{name} answers what it has brought"

    for provider, trouble in zip(service.providers.values(), TROUBLES * 2, strict=False):
        provider.trouble(
            trouble, at="send" if provider.name in {"hava", "chah"} else "Send" if provider.name == "elm" else ""
        )
    for number, (name, pilgrim) in enumerate(people.items(), 101):
        service.bring(service.providers[name], pilgrim, service.found(pilgrim, CODE)[-1], number)
    assert eventually(lambda: all(service.found(it, PASSWORD) for it in everybody), 60), service.printed
    for pilgrim in everybody:
        assert (len(service.found(pilgrim, CODE)), len(service.found(pilgrim, PASSWORD))) == (1, 1)

    assert eventually(lambda: min(service.statuses()) > DeliveryStatus.QUEUED, 30), service.printed
    service.deliver()
    assert eventually(lambda: service.statuses() == {int(DeliveryStatus.DELIVERED)}, 40), service.statuses()

    assert service.stop() == 0
    private = [*SECRETS, *(it.mobile[3:] for it in everybody), *(it.national_id for it in everybody)]
    private += [word for it in everybody for word in service.found(it, CODE) + service.found(it, PASSWORD)]
    assert NEEDED["line"] and [each for each in private if each in service.printed] == []
    assert "Traceback" not in service.printed
