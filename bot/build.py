"""The one place where the real parts are chosen. Tests choose theirs by handing them in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.audit.hash_chain import Chain
from bot.clock import system_clock
from bot.console_login import Console
from bot.credentials.keyring import Keyring
from bot.fakher.events import EventPoster
from bot.fakher.service import Fakher
from bot.gateways.http.gateway import HttpGateway
from bot.gateways.http.provider import PREFIX
from bot.gateways.kannel import Kannel
from bot.gateways.simulated import Simulated
from bot.gateways.twilio import Twilio
from bot.inbound.handler import InboundHandler
from bot.inbound.polling import Polling
from bot.jobs import Jobs
from bot.phone_numbers import PhoneNumbers
from bot.ports import Clock, Gateway, Inbound, Polled, RandomSource, Receipt
from bot.random_source import SystemRandomSource
from bot.sending.courier import Courier
from bot.sending.receipts import Receipts
from bot.settings import Settings, read_keys
from bot.simulation.state import Simulation, no_faults
from dialogs.vocabulary import AnyEvent
from store.database.engine import Store


@dataclass(frozen=True)
class GatewayParts:
    """What gateways are made of."""

    settings: Settings
    store: Store
    keyring: Keyring
    clock: Clock
    random_source: RandomSource
    simulation: Simulation | None = None


# A new gateway's line goes here, and its name into settings.GatewayName.
GATEWAYS: dict[str, Callable[[GatewayParts], Gateway]] = {
    "twilio": lambda parts: Twilio(parts.settings),
    "kannel": lambda parts: Kannel(parts.settings, parts.random_source),
    "simulated": lambda parts: Simulated(
        parts.store,
        parts.keyring,
        parts.clock,
        parts.random_source,
        parts.simulation.faults if parts.simulation else no_faults,
    ),
}


def make_gateway(name: str, parts: GatewayParts) -> Gateway:
    """The gateway of a name in GATEWAYS. Providers with an HTTP API need no line above: each has a profile."""
    if name.startswith(PREFIX):
        found = parts.settings.providers[name]
        return HttpGateway(found, parts.settings.public_url, parts.keyring, parts.random_source)
    return GATEWAYS[name](parts)


@dataclass(frozen=True)
class Bot:
    """All the parts, put together."""

    settings: Settings
    store: Store
    keyring: Keyring
    clock: Clock
    random_source: RandomSource
    phone_numbers: PhoneNumbers
    gateways: dict[str, Gateway]
    conversation: InboundHandler
    courier: Courier
    jobs: Jobs
    event_poster: EventPoster
    fakher: Fakher
    receipts: Receipts
    console: Console
    simulation: Simulation | None = None

    def start(self) -> None:
        """Begin to send and to sweep, in threads of this process."""
        self.courier.start()
        self.jobs.start()

    def stop(self) -> None:
        """Finish what is in hand and let go of the database."""
        self.jobs.stop()
        self.courier.stop()
        self.store.close()

    def hear(self, inbound: Inbound) -> AnyEvent | None:
        """Hear a text, and have what answers it sent."""
        with self.courier.hushed():
            return self.conversation.hear(inbound)

    def note(self, receipt: Receipt) -> bool:
        """Note how far a text has come; False where it is none of ours."""
        return self.receipts.note(receipt)


def build(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    random_source: RandomSource | None = None,
    gateways: Sequence[Gateway] | None = None,
    store: Store | None = None,
    simulation: Simulation | None = None,
    processes: int = 1,
) -> Bot:
    """Put the bot together from its settings; what is handed in takes the real part's place, a trial the clock's.

    `processes` is how many such bots share the rate at which texts may leave.
    """
    clock = simulation.clock if simulation else clock
    random_source = random_source or SystemRandomSource()
    store = store or Store(settings.database_url)
    keyring = Keyring.of(read_keys(settings.secret_keys))
    phone_numbers = PhoneNumbers(settings.default_region, settings.allowed_countries)
    parts = GatewayParts(settings, store, keyring, clock, random_source, simulation)
    chosen = gateways if gateways is not None else [make_gateway(name, parts) for name in settings.gateways]
    courier = Courier(store, chosen, keyring, clock, settings.messages_per_second / processes)
    conversation = InboundHandler(store, settings, phone_numbers, keyring, clock, random_source, courier)
    event_poster = EventPoster(store, settings, clock)
    chain = Chain(store, keyring, clock, random_source)
    receipts = Receipts(store, settings, keyring, clock, random_source, courier)

    def hear(inbound: Inbound) -> object:
        with courier.hushed():
            return conversation.hear(inbound)

    polled = [gateway for gateway in chosen if isinstance(gateway, Polled)]
    polling = Polling(store, keyring, clock, polled, hear, receipts.note)
    jobs = Jobs(store, clock, conversation, event_poster, chain, polling.jobs())
    fakher = Fakher(store, settings, keyring, clock, random_source, courier)
    named = {gateway.name: gateway for gateway in chosen}
    return Bot(
        settings,
        store,
        keyring,
        clock,
        random_source,
        phone_numbers,
        named,
        conversation,
        courier,
        jobs,
        event_poster=event_poster,
        fakher=fakher,
        simulation=simulation,
        receipts=receipts,
        console=Console(store, settings, phone_numbers, keyring, clock, random_source, courier),
    )
