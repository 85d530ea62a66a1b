"""What is derived from SECRET_KEYS: one key a purpose (HKDF, RFC 5869), and the sealing of unsent texts (Fernet)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"ramz {purpose}".encode()).derive(key)


class Unreadable(Exception):
    """Something was sealed under a key that is no longer among SECRET_KEYS."""


@dataclass(frozen=True)
class Cost:
    """What argon2id takes for one password: passes, memory in KiB, lanes (OWASP's second choice, about 20 ms)."""

    passes: int = 2
    memory: int = 19456
    lanes: int = 1


PRODUCTION = Cost()


@dataclass(frozen=True)
class Keyring:
    """Keys by id, the newest first: it makes what is new, the others still check what is old.

    `cost` is what hashing a password under them takes.
    """

    newest: str
    _codes: dict[str, bytes] = field(repr=False)
    _peppers: dict[str, bytes] = field(repr=False)
    _seals: MultiFernet = field(repr=False)
    _aliases: bytes = field(repr=False)
    audits: Mapping[str, bytes] = field(repr=False)  # prove the rows of the audit
    checks: Mapping[str, bytes] = field(repr=False)  # by which the database knows them again; they open nothing
    webhook: bytes = field(repr=False)  # signs what the simulated carrier calls
    cost: Cost = PRODUCTION

    @classmethod
    def of(cls, keys: dict[str, bytes], cost: Cost = PRODUCTION) -> "Keyring":
        """Derive what is needed, once."""
        seals = [Fernet(base64.urlsafe_b64encode(_derive(key, "seal"))) for key in keys.values()]
        return cls(
            newest=next(iter(keys)),
            _codes={name: _derive(key, "code") for name, key in keys.items()},
            _peppers={name: _derive(key, "password") for name, key in keys.items()},
            _seals=MultiFernet(seals),
            audits={name: _derive(key, "audit") for name, key in keys.items()},
            checks={name: _derive(key, "check") for name, key in keys.items()},
            _aliases=_derive(next(iter(keys.values())), "alias"),
            webhook=_derive(next(iter(keys.values())), "webhook"),
            cost=cost,
        )

    def knows(self, key_id: str) -> bool:
        """Whether this process has the key. Another host may have one that this one lacks."""
        return key_id in self._codes

    def code_digest(self, key_id: str, message: str) -> bytes | None:
        """The keyed hash of a code with what it is bound to; None where the key is gone."""
        key = self._codes.get(key_id)
        return hmac.digest(key, message.encode(), hashlib.sha256) if key else None

    def pepper(self, key_id: str, password: str) -> str | None:
        """A password under a key that the database does not hold; None where the key is gone."""
        key = self._peppers.get(key_id)
        # A broken character counts as any other: a person who can type it can log in by it.
        written = password.encode("utf-8", "surrogatepass")
        return hmac.new(key, written, hashlib.sha256).hexdigest() if key else None

    def alias(self, name: str) -> str:
        """A name that stands for an unknown ID or user name, so that what was mistyped is kept nowhere."""
        return hmac.new(self._aliases, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def seal(self, secret: str) -> bytes:
        """Encrypt what must wait in the database."""
        return self._seals.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt it again; Unreadable where its key is gone."""
        try:
            return self._seals.decrypt(sealed).decode()
        except InvalidToken as error:
            raise Unreadable from error
