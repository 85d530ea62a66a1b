"""A provider as the settings choose it: its profile, and the values of `HTTP_NAME_…` that the profile needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.profiles import profile as profiles
from bot.profiles.named_file import UnreadableFile, read_file
from bot.profiles.profile import INBOUND_SECRET, BadProfile, Profile

PREFIX = "http-"
SHIPPED = Path(__file__).parent.parent / "gateways" / "profiles"
# What may be shown of a provider's settings; everything else is a secret, or would be one at another provider.
SHOWN = {"line"}


@dataclass(frozen=True)
class Provider:
    """A gateway `http-NAME`: `values` has the settings that its profile needs, by their names in it.

    `missing` names the settings that are not set; `warnings` are lines for the operator.
    """

    name: str
    profile: Profile = field(repr=False)
    base: str
    values: Mapping[str, str] = field(repr=False)
    missing: tuple[str, ...] = ()

    @property
    def secret(self) -> str:
        """What the provider's calls carry."""
        return self.values.get(INBOUND_SECRET, "")

    @property
    def warnings(self) -> list[str]:
        """What the operator should know before texts depend on it."""
        found = []
        if not self.profile.is_heard:
            found.append(f"{self.name}: has no way for texts to come in; it only sends")
        if self.profile.receipts is None and self.profile.poll.receipts is None:
            found.append(f"{self.name}: tells nothing of delivery; a text that it took counts as sent")
        return found

    def shown(self) -> dict[str, str]:
        """The values, but for their names where they are secret."""
        return {name: value if name in SHOWN else f"<{name}>" for name, value in self.values.items()}


def shipped() -> list[str]:
    """The names of the profiles that come with Ramz."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def setting_of(gateway: str, key: str) -> str:
    """The name of a provider's setting: HTTP_MAGFA_USER."""
    return f"HTTP_{gateway.removeprefix(PREFIX).upper()}_{key.upper()}"


def read_provider(gateway: str, setting: Callable[[str], str]) -> Provider:
    """A provider out of the settings; `setting` gives one's value, empty where there is none. BadProfile as ever."""
    chosen = setting(setting_of(gateway, "profile"))
    path = _path(gateway, chosen)
    try:
        profile = profiles.read(_text(gateway, path))
    except BadProfile as bad:
        raise BadProfile([fault if fault.startswith("HTTP_") else f"{path}: {fault}" for fault in bad.faults]) from None
    values = {key: setting(setting_of(gateway, key)) for key in profile.needs}
    faults = [
        f"{setting_of(gateway, key)}: has characters that can't be shown"
        for key, value in values.items()
        if not value.isprintable()
    ]
    base = setting(setting_of(gateway, "base")) or profile.base
    try:
        base = profiles.checked_base(base)
    except ValueError as error:
        faults.append(f"{setting_of(gateway, 'base')}: {error}")
    if faults:
        raise BadProfile(faults)
    missing = tuple(setting_of(gateway, key) for key, value in values.items() if not value)
    return Provider(gateway, profile, base, values, missing)


def _path(gateway: str, chosen: str) -> Path:
    path = Path(chosen) if chosen else SHIPPED / f"{gateway.removeprefix(PREFIX)}.toml"
    if not chosen and not path.exists():
        names = ", ".join(PREFIX + name for name in shipped())
        wanted = setting_of(gateway, "profile")
        raise BadProfile([f"there is no such profile: set {wanted} to a file of your own, or choose of {names}"])
    return path


def _text(gateway: str, path: Path) -> str:
    try:
        return read_file(path)
    except UnreadableFile as unreadable:
        raise BadProfile([f"{setting_of(gateway, 'profile')}: {path} {unreadable}"]) from None
