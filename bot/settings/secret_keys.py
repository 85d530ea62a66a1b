"""SECRET_KEYS: read, and those of a trial made."""

import base64
import binascii
import secrets
from pathlib import Path

KEPT_KEYS = Path("instance/secret_keys")
TRIAL_KEY = "trial"


def read_keys(keys: str) -> dict[str, bytes]:
    """SECRET_KEYS as key id to key, newest first. ValueError says what is wrong, never a key."""
    found = dict(_key(part.strip()) for part in keys.split(","))
    if len(found) < len(keys.split(",")):
        raise ValueError("two keys have one id")
    if len(set(found.values())) < len(found):
        raise ValueError("two ids have one key: a key that may be known to others would stay in use")
    return found


def key_ids(keys: str) -> list[str]:
    """The ids of SECRET_KEYS, the newest first."""
    return [part.partition(":")[0].strip() for part in keys.split(",")]


def _key(part: str) -> tuple[str, bytes]:
    name, colon, value = part.partition(":")
    if not (colon and name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 32):
        raise ValueError("must be id:base64[,id:base64…], an id being 1 to 32 letters, digits, - or _")
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {name} is not base64") from None
    if len(key) != 32:
        raise ValueError(f"key {name} has {len(key)} bytes in place of 32")
    if len(set(key)) == 1:
        raise ValueError(f"key {name} is one byte 32 times: draw it by openssl rand -base64 32")
    return name, key


def kept_keys(path: Path = KEPT_KEYS) -> str:
    """The keys of a trial, made and kept the first time; readable by their owner alone. `make serve` refuses them."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = base64.b64encode(secrets.token_bytes(32)).decode()
        path.touch(mode=0o600)
        path.write_text(f"{TRIAL_KEY}:{fresh}\n", "utf-8")
    return path.read_text("utf-8").strip()
