"""Bearer secrets: `id.secret`, 128 random bits each, of which only SHA-256 is kept.

Such a secret can't be guessed, so its hash needs neither a key nor slowness. The id finds the row; the
secret is compared in constant time.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from bot.ports import RandomSource

PATTERN = r"^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22}$"
_FORM = re.compile(PATTERN.removesuffix("$") + r"\Z", re.ASCII)


@dataclass(frozen=True)
class Bearer:
    """A secret and the id of its row."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What its holder is handed."""
        return f"{self.id}.{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return hashlib.sha256(self.secret.encode()).digest()

    def is_of(self, digest: bytes | None) -> bool:
        """Whether that was kept of it, in the same time for any secret."""
        return hmac.compare_digest(self.digest, digest or b"")


def make(random_source: RandomSource) -> Bearer:
    """Draw a new one. Its id can be handed to a command, where a dash at the front would make an option of it."""
    name = random_source.token()
    while name.startswith("-"):
        name = random_source.token()
    return Bearer(name, random_source.token())


def read(text: str) -> Bearer | None:
    """Take one apart; None for anything that can't be one."""
    return Bearer(*text.split(".")) if _FORM.match(text) else None
