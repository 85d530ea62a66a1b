"""Whether the database knows SECRET_KEYS.

Keys that it does not know would check none of its codes and passwords, and write an audit that nobody else can prove.
It knows every key that was in front once, by a check value that opens nothing. A service must have the one that was
put in front last. A database that was made before it kept such values learns them from the newest rows of its audit.
Each fault is one line that names the setting.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from bot.audit.hash_chain import is_proven
from bot.credentials.keyring import Keyring
from store import audit
from store.service import key_checks
from store.service.key_checks import KnownKeys

# So many of the audit's newest rows are looked at: one that somebody has spoilt must not hide what the others prove.
LOOKED_AT = 50
_ABOVE_ALL = 2**31 - 1


def fault(connection: Connection, keyring: Keyring) -> str | None:
    """Why these keys can't serve this database; None where they can."""
    known = key_checks.known(connection)
    return _fault_by_checks(known, keyring) if known.last else _fault_by_audit(_newest_rows(connection), keyring)


def admit(connection: Connection, keyring: Keyring) -> str | None:
    """Let a service begin with these keys, and note which is in front from now on; or why not."""
    if keyring.newest in audit.kept_keys(connection):
        return f"SECRET_KEYS: {keyring.newest} is in front, but was given up by flask audit rekey; put another there"
    if (found := fault(connection, keyring)) is not None:
        return found
    last = key_checks.known(connection).last
    if last is None and (rows := _newest_rows(connection)):
        last = rows[0].key_id
        key_checks.put_in_front(connection, last, keyring.checks[last])
    if last != keyring.newest:
        key_checks.put_in_front(connection, keyring.newest, keyring.checks[keyring.newest])
    # Another host may have been first, with another key of this name.
    return fault(connection, keyring)


def join(connection: Connection, keyring: Keyring) -> str | None:
    """Let a command write beside the service, under the key that the service has in front; or why not."""
    known = key_checks.known(connection)
    if known.last is None:
        return admit(connection, keyring)
    found = _fault_by_checks(known, keyring)
    if found is None and known.last != keyring.newest:
        found = (
            f"SECRET_KEYS: {keyring.newest} is in front here, {known.last} where the service runs: put that in front"
        )
    return found


def accept(connection: Connection, keyring: Keyring) -> None:
    """Serve with these keys from now on, whatever was known: the others are lost, and so is what only they prove."""
    for key_id in key_checks.known(connection).checks.keys() & keyring.checks.keys():
        key_checks.replace(connection, key_id, keyring.checks[key_id])
    key_checks.put_in_front(connection, keyring.newest, keyring.checks[keyring.newest])


def _fault_by_checks(known: KnownKeys, keyring: Keyring) -> str | None:
    shared = [key_id for key_id in keyring.checks if key_id in known.checks]
    if not shared:
        return f"SECRET_KEYS: the database knows none of these keys; it knows {', '.join(known.checks)}"
    for key_id in shared:
        if keyring.checks[key_id] != known.checks[key_id]:
            return f"SECRET_KEYS: {key_id} is another key than the one that the database knows by this name"
    if known.last not in keyring.checks:
        return f"SECRET_KEYS: {known.last} is missing, which was put in front last"
    return None


def _fault_by_audit(newest: Sequence[Any], keyring: Keyring) -> str | None:
    if not newest:
        return None
    last = newest[0].key_id
    if last not in keyring.checks:
        return f"SECRET_KEYS: {last} is missing, under which the audit's newest row was written"
    if not any(is_proven(keyring, row) for row in newest if row.key_id == last):
        return f"SECRET_KEYS: {last} is another key than the one that wrote the audit's newest rows"
    return None


def _newest_rows(connection: Connection) -> Sequence[Any]:
    return audit.newest(connection, _ABOVE_ALL, LOOKED_AT, by_staff=False)
