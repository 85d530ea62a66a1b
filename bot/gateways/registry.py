"""The gateways by their names in GATEWAYS."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.credentials.keyring import Keyring
from bot.gateways.http.gateway import HttpGateway
from bot.gateways.kannel import Kannel
from bot.gateways.simulated import Simulated
from bot.gateways.twilio import Twilio
from bot.platform.http_client import HttpClient
from bot.ports import Clock, Gateway, RandomSource
from bot.profiles.provider import PREFIX
from bot.settings import Settings
from bot.simulation.state import Simulation, no_faults
from store.database.engine import Store


@dataclass(frozen=True)
class GatewayParts:
    """What gateways are made of."""

    settings: Settings
    store: Store
    keyring: Keyring
    clock: Clock
    random_source: RandomSource
    http: HttpClient
    simulation: Simulation | None = None


# A new gateway's line goes here, and its name into settings/fields.py, GatewayName.
GATEWAYS: dict[str, Callable[[GatewayParts], Gateway]] = {
    "twilio": lambda parts: Twilio(parts.settings, parts.http),
    "kannel": lambda parts: Kannel(parts.settings, parts.random_source, parts.http),
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
        return HttpGateway(found, parts.settings.public_url, parts.keyring, parts.random_source, parts.http)
    return GATEWAYS[name](parts)
