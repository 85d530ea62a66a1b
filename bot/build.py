"""The one place where the real parts are chosen. Tests choose theirs by handing them in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.calendars import system_clock
from bot.chain import Chain
from bot.console import Console
from bot.conversation import Conversation
from bot.courier import Courier
from bot.dice import SystemDice
from bot.fakher import Fakher
from bot.fakher_events import Announcer
from bot.gateways.kannel import Kannel
from bot.gateways.simulated import Simulated
from bot.gateways.twilio import Twilio
from bot.jobs import Jobs
from bot.keys import Keys
from bot.phones import Phones
from bot.ports import Clock, Dice, Gateway, Inbound, Receipt
from bot.receipts import Receipts
from bot.settings import Settings, read_keys
from bot.trial import Trial, fair
from dialogs.vocabulary import AnyEvent
from store.engine import Store


@dataclass(frozen=True)
class Parts:
    """What gateways are made of."""

    settings: Settings
    store: Store
    keys: Keys
    clock: Clock
    dice: Dice
    trial: Trial | None = None


# A new gateway's line goes here, and its name into settings.GatewayName.
GATEWAYS: dict[str, Callable[[Parts], Gateway]] = {
    "twilio": lambda parts: Twilio(parts.settings),
    "kannel": lambda parts: Kannel(parts.settings, parts.dice),
    "simulated": lambda parts: Simulated(
        parts.store, parts.keys, parts.clock, parts.dice, parts.trial.bends if parts.trial else fair
    ),
}


@dataclass(frozen=True)
class Bot:
    """All the parts, put together."""

    settings: Settings
    store: Store
    keys: Keys
    clock: Clock
    dice: Dice
    phones: Phones
    gateways: dict[str, Gateway]
    conversation: Conversation
    courier: Courier
    jobs: Jobs
    announcer: Announcer
    fakher: Fakher
    receipts: Receipts
    console: Console
    trial: Trial | None = None

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
    dice: Dice | None = None,
    gateways: Sequence[Gateway] | None = None,
    store: Store | None = None,
    trial: Trial | None = None,
    processes: int = 1,
) -> Bot:
    """Put the bot together from its settings; what is handed in takes the real part's place, a trial the clock's.

    `processes` is how many such bots share the rate at which texts may leave.
    """
    clock = trial.clock if trial else clock
    dice = dice or SystemDice()
    store = store or Store(settings.database_url)
    keys = Keys.of(read_keys(settings.secret_keys))
    phones = Phones(settings.default_region, settings.allowed_countries)
    parts = Parts(settings, store, keys, clock, dice, trial)
    chosen = gateways if gateways is not None else [GATEWAYS[name](parts) for name in settings.gateways]
    courier = Courier(store, chosen, keys, clock, settings.messages_per_second / processes)
    conversation = Conversation(store, settings, phones, keys, clock, dice, courier)
    announcer = Announcer(store, settings, clock)
    chain = Chain(store, keys, clock, dice)
    jobs = Jobs(store, clock, conversation, announcer, chain)
    fakher = Fakher(store, settings, keys, clock, dice, courier)
    named = {gateway.name: gateway for gateway in chosen}
    return Bot(
        settings,
        store,
        keys,
        clock,
        dice,
        phones,
        named,
        conversation,
        courier,
        jobs,
        announcer=announcer,
        fakher=fakher,
        trial=trial,
        receipts=Receipts(store, settings, keys, clock, dice, courier),
        console=Console(store, settings, phones, keys, clock, dice, courier),
    )
