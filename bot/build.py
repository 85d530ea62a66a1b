"""The one place where the real parts are chosen. Tests choose theirs by handing them in."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from bot.accounts import mobile_change
from bot.accounts.console_login import Console
from bot.accounts.staff_changes import StaffChanges
from bot.audit.hash_chain import Chain
from bot.audit.trail import Trail
from bot.credentials.keyring import PRODUCTION, Cost, Keyring
from bot.fakher.events import EventPoster
from bot.fakher.service import Fakher
from bot.gateways.registry import GatewayParts, make_gateway
from bot.inbound.handler import InboundHandler
from bot.inbound.polling import Polling
from bot.jobs import Jobs
from bot.parts import Job, Parts
from bot.platform.clock import system_clock
from bot.platform.http_client import HttpClient
from bot.platform.phone_numbers import PhoneNumbers
from bot.platform.random_source import SystemRandomSource
from bot.ports import Clock, Gateway, Inbound, Polled, RandomSource, Receipt
from bot.reports.rollup import Rollup
from bot.sending import undelivered
from bot.sending.courier import Courier
from bot.sending.flood_guard import FloodGuard
from bot.sending.receipts import Receipts
from bot.sending.share import Share
from bot.settings import Settings, read_keys
from bot.simulation.state import Simulation
from dialogs.vocabulary import AnyEvent
from store.database.engine import Store
from store.service.counting import Counting


@dataclass(frozen=True)
class Bot:
    """All the parts, put together."""

    parts: Parts
    gateways: dict[str, Gateway]
    courier: Courier
    flood_guard: FloodGuard
    inbound: InboundHandler
    receipts: Receipts
    fakher: Fakher
    console: Console
    staff_changes: StaffChanges
    event_poster: EventPoster
    audit_chain: Chain
    jobs: Jobs
    simulation: Simulation | None = None

    @property
    def settings(self) -> Settings:
        """The settings that it was built from."""
        return self.parts.settings

    @property
    def store(self) -> Store:
        """The database."""
        return self.parts.store

    @property
    def keyring(self) -> Keyring:
        """What is derived from SECRET_KEYS."""
        return self.parts.keyring

    @property
    def clock(self) -> Clock:
        """The time now."""
        return self.parts.clock

    @property
    def counting(self) -> Counting:
        """What this process counts."""
        return self.parts.counting

    @property
    def phone_numbers(self) -> PhoneNumbers:
        """Who may text it and be texted by it."""
        return self.parts.phone_numbers

    def start(self) -> None:
        """Begin to send and to sweep, in threads of this process."""
        self.courier.start()
        self.jobs.start()

    def stop(self) -> None:
        """Finish what is in hand, and close the database."""
        self.event_poster.stop()
        self.jobs.stop()
        self.courier.stop()
        with suppress(SQLAlchemyError):  # a database that is gone must not stop the stop
            self.counting.flush()
        self.store.close()

    def hear(self, inbound: Inbound) -> AnyEvent | None:
        """Hear a text, and have what answers it sent."""
        return self.inbound.hear(inbound)

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
    cost: Cost = PRODUCTION,
) -> Bot:
    """Put the bot together from its settings; what is handed in takes the real part's place, a trial the clock's.

    `processes` is how many such bots there are on this host, so that none begins with more than its part of the rate;
    `cost` what hashing a password takes.
    """
    clock = simulation.clock if simulation else clock
    random_source = random_source or SystemRandomSource()
    store = store or Store(settings.database_url, synchronous=settings.sqlite_synchronous)
    keyring = Keyring.of(read_keys(settings.secret_keys), cost)
    phone_numbers = PhoneNumbers(settings.default_region, settings.allowed_countries, settings.mobile_prefixes)
    gateway_parts = GatewayParts(settings, store, keyring, clock, random_source, HttpClient(), simulation)
    chosen = gateways if gateways is not None else [make_gateway(name, gateway_parts) for name in settings.gateways]
    share = Share(store, random_source, settings.messages_per_second, processes)
    courier = Courier(store, chosen, keyring, clock, share)
    trail, counting = Trail(keyring, random_source), Counting(store)
    parts = Parts(store, settings, keyring, clock, random_source, phone_numbers, trail, counting)
    flood_guard = FloodGuard(store, clock, phone_numbers.prefixes_abroad())
    event_poster, audit_chain = EventPoster(parts), Chain(store, clock, trail)
    inbound, receipts = InboundHandler(parts, courier, flood_guard), Receipts(parts, courier)
    polled = [gateway for gateway in chosen if isinstance(gateway, Polled)]
    polling = Polling(store, keyring, clock, polled, inbound.hear, receipts.note)
    jobs = [
        Job("staff", 5, partial(undelivered.tell_staff, parts)),
        Job("mobiles", 10, partial(mobile_change.end_overdue, parts)),
        Job("early_receipts", 1, receipts.note_early),
        Job("events", 1, event_poster.post_due),
        Job("audit", 5, audit_chain.seal_due),
        Job("audit_log", 60, audit_chain.log_end),
        Job("flood", 10, flood_guard.look),
        Job("measures", 60, Rollup(store, clock).run),
        Job("counting", 5, counting.flush),
        *polling.jobs(),
    ]
    return Bot(
        parts,
        {gateway.name: gateway for gateway in chosen},
        courier,
        flood_guard,
        inbound=inbound,
        receipts=receipts,
        fakher=Fakher(parts, courier),
        console=Console(parts, courier),
        staff_changes=StaffChanges(parts, courier),
        event_poster=event_poster,
        audit_chain=audit_chain,
        jobs=Jobs(parts, jobs, partial(mobile_change.defer, parts)),
        simulation=simulation,
    )
