"""Seals the audit's rows into a chain, and proves it: what was changed, removed or put in between shows.

A row is written with a digest of its own. A little later it is sealed: it gets the next place in the chain, and a
keyed hash over that place, the seal before it and its digest. The head says where the chain ends. A row's digest and
seal are of the same key, the one that was the newest when it was written.
"""

import hashlib
import hmac
import json
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.audit.trail import Entry, Trail, digest
from bot.credentials.keyring import Keyring, Unreadable
from bot.platform.log import logger
from bot.ports import Clock
from dialogs.audit_vocabulary import Action, Actor
from store import audit
from store.audit import Head
from store.database.engine import Store, was_cut_off
from store.database.times import as_text
from store.service import heartbeats

LOG = logger("audit")

BATCH = 500
START = Head(0, "", b"")
# So many faults are told; where there are more, they have one cause.
MOST_TOLD = 20
# How often the chain's end goes to the log, and the name under which a process claims it.
TOLD_EVERY, TOLD = timedelta(hours=1), "audit_sealed"


class Broken(Exception):
    """The chain doesn't end where its head says, so nothing is sealed any more. `flask audit verify` says more."""


@dataclass
class Proof:
    """What a walk over all rows has found: how many there are, where the chain ends, and what is wrong, if anything."""

    rows: int = 0
    sealed: int = 0  # of them, by this walk
    end: Head = START
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Retired:
    """What a key that makes no rows any more still proves: those up to a place in the chain."""

    key: bytes = field(repr=False)
    until: int


class Chain:
    """The audit's chain."""

    def __init__(self, store: Store, clock: Clock, trail: Trail) -> None:
        """Take the audit's writer, with the keys that rows are made and proven by."""
        self.store, self.keyring, self.clock, self.trail = store, trail.keyring, clock, trail

    def seal_due(self) -> int:
        """Seal what is not sealed yet; how many rows that were. Broken where the chain's end is not as it was left."""
        sealed = 0
        while self._is_waiting():
            with self.store.writing() as connection:
                done = self._seal(connection)
            sealed += done
            if done < BATCH:
                break
        with self.store.reading() as connection:
            self.trail.chain_length = self._length(connection)
        return sealed

    def log_end(self) -> Head | None:
        """Write the chain's end to the log, where the database's owner can't change it; what was written.

        Every hour by one process of all hosts, None in the others. The line is written before the claim is committed:
        if the process ends between the two, another writes the line.
        """
        now = self.clock()
        with self.store.reading() as connection:
            told_at = heartbeats.last(connection).get(TOLD)
        if told_at is not None and abs(now - told_at) < TOLD_EVERY:
            return None
        with self.store.writing() as connection:
            if not heartbeats.claim(connection, TOLD, now, TOLD_EVERY):
                return None
            end = audit.head(connection) or START
            LOG.info("audit_sealed", seq=end.seq, seal=end.seal.hex())
        return end

    def holds(self, seq: int, kept: bytes) -> bool:
        """Whether the row at a place has the seal that was kept elsewhere, from the log say."""
        with self.store.reading() as connection:
            row = audit.seal_at(connection, seq)
        return row is not None and hmac.compare_digest(_bytes(row.seal), kept)

    def prove(self) -> Proof:
        """Seal what is not sealed yet, and walk over every row."""
        proof = Proof()
        with suppress(Broken):  # the walk says where
            proof.sealed = self.seal_due()
        with self.store.still() as connection:  # one moment, and a cursor that needs a transaction
            walk = _Walk(connection, self.keyring, proof)
            with closing(walk.faults()) as faults:
                proof.faults += islice(faults, MOST_TOLD)
        return proof

    def rekey(self) -> Proof:
        """Prove the chain, and hand what the older keys prove on to the newest, so that they can leave SECRET_KEYS."""
        proof = self.prove()
        if not proof.faults:
            with self.store.writing() as connection:
                # A row under the newest key: the holder of an older one can't rewrite what lies before it.
                self.trail.note(connection, self.clock(), Entry(Actor.OPERATOR, Action.AUDIT_REKEYED))
            self.seal_due()
            with self.store.writing() as connection:
                self._keep_keys(connection)
        return proof

    def _length(self, connection: Connection) -> int:
        end = audit.head(connection)
        return end.seq if end is not None and isinstance(end.seq, int) else 0

    def _is_waiting(self) -> bool:
        with self.store.reading() as connection:
            return bool(audit.waiting(connection, self.keyring.audits, 1))

    def _seal(self, connection: Connection) -> int:
        end = audit.head(connection, hold=True)
        if end is None or not _is_end(connection, end):
            raise Broken
        rows, seals = audit.waiting(connection, self.keyring.audits, BATCH), []
        for row in rows:
            place = end.seq + 1
            end = Head(place, row.key_id, seal(self.keyring.audits[row.key_id], end.seal, place, row))
            seals.append({"row": row.id, "place": place, "sealed": end.seal})
        if seals:
            audit.put_seals(connection, seals, end)
        return len(seals)

    def _keep_keys(self, connection: Connection) -> None:
        end = audit.head(connection) or START
        older = {
            name: Retired(key, end.seq) for name, key in self.keyring.audits.items() if name != self.keyring.newest
        }
        for name, retired in (older | retired_keys(connection, self.keyring)).items():
            said = json.dumps({"key": retired.key.hex(), "until": retired.until})
            audit.keep_key(connection, name, self.keyring.seal(said))


class _Walk:
    """One walk over all rows."""

    def __init__(self, connection: Connection, keyring: Keyring, proof: Proof) -> None:
        self.connection, self.keyring, self.proof = connection, keyring, proof
        self.retired: dict[str, Retired] = {}
        self.end = START
        self.former = [START.seal]  # the seal before, as it is and as it should be

    def faults(self) -> Generator[str]:
        """What is wrong, from the first row to the last."""
        try:
            yield from self._faults()
        except (SQLAlchemyError, ValueError, ArithmeticError) as error:
            if isinstance(error, DBAPIError) and was_cut_off(error):
                raise
            yield f"one of the rows after seq {self.end.seq} can't be read ({type(error).__name__})"

    def _faults(self) -> Iterator[str]:
        try:
            self.retired = retired_keys(self.connection, self.keyring)
        except Unreadable:
            yield "what was kept of older keys can't be opened: it was changed, or its key is gone from SECRET_KEYS"
        head = audit.head(self.connection)
        for row, head in audit.chain(self.connection):  # noqa: B007  # the last is where it should end
            yield from self._sealed(row)
        yield from self._ending(head)
        for row in audit.loose(self.connection):
            self.proof.rows += 1
            yield from self._loose(row)
        for first, last in audit.copies(self.connection):
            yield f"row {last} is a copy of row {first}"

    def _sealed(self, row: Any) -> Iterator[str]:
        if not isinstance(row.seq, int):
            yield f"{_named(row)} was changed, or put there"
            return
        gap = row.seq > self.end.seq + 1
        if gap:
            yield f"{_missing(self.end.seq + 1, row.seq - 1)}, before {_named(row)}"
        key, why = self._key(row)
        if key is None:
            yield f"{_named(row)} {why}"
            self.former = [row.seal]
        else:
            follows = [seal(key, former, row.seq, row) for former in self.former]
            is_right = gap or row.seal in follows
            if not is_right or digest(key, _said(row)) != row.digest:
                yield f"{_named(row)} was changed, or put there"
            elif row.chain_length is not None and row.chain_length >= row.seq:
                yield _too_early(row)
            self.former = [row.seal] if is_right else [row.seal, follows[0]]
        self.end = Head(row.seq, row.key_id, row.seal)
        self.proof.rows, self.proof.end = self.proof.rows + 1, self.end

    def _loose(self, row: Any) -> Iterator[str]:
        key, why = self._key(row)
        if key is None:
            yield f"{_named(row)} {why}"
        elif row.seal is not None or digest(key, _said(row)) != row.digest:
            yield f"{_named(row)} was changed, or put there"
        elif row.chain_length is not None and row.chain_length > self.end.seq:
            yield _too_early(row)

    def _ending(self, head: Head | None) -> Iterator[str]:
        if head is None:
            yield "the head of the chain is missing"
        elif isinstance(head.seq, int) and head.seq > self.end.seq:
            yield _missing(self.end.seq + 1, head.seq)
        elif head != self.end:
            yield f"the head of the chain was changed, or rows were put there after seq {head.seq}"

    def _key(self, row: Any) -> tuple[bytes | None, str]:
        retired = self.retired.get(row.key_id)
        if row.key_id == self.keyring.newest or retired is None:
            return self.keyring.audits.get(row.key_id), f"can't be proven: its key {row.key_id!r} is not in SECRET_KEYS"
        is_late = not isinstance(row.seq, int) or row.seq > retired.until
        return None if is_late else retired.key, f"is under the key {row.key_id!r}, which was given up before"


def seal(key: bytes, former: Any, place: Any, row: Any) -> bytes:
    """The keyed hash of a row's place in the chain."""
    chained = f"seal {place} {row.id} ".encode() + _bytes(former) + _bytes(row.digest)
    return hmac.digest(key, chained, hashlib.sha256)


def is_proven(keyring: Keyring, row: Any) -> bool:
    """Whether a row says what it said when it was written under one of these keys."""
    key = keyring.audits.get(row.key_id)
    return key is not None and hmac.compare_digest(digest(key, _said(row)), _bytes(row.digest))


def retired_keys(connection: Connection, keyring: Keyring) -> dict[str, Retired]:
    """The keys that make no rows any more, by their ids. Unreadable where one was changed, or its key is gone."""
    opened = {name: json.loads(keyring.open(sealed)) for name, sealed in audit.kept_keys(connection).items()}
    return {name: Retired(bytes.fromhex(said["key"]), said["until"]) for name, said in opened.items()}


def _is_end(connection: Connection, end: Head) -> bool:
    last = audit.seal_at(connection, end.seq)
    return end == (Head(end.seq, last.key_id, last.seal) if last else START)


def _said(row: Any) -> dict[str, Any]:
    """What a row says, its time as it was when its digest was made."""
    at = as_text(row.at.astimezone(UTC)) if isinstance(row.at, datetime) else row.at
    return {**row._asdict(), "at": at}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""


def _named(row: Any) -> str:
    return f"row {row.id} (seq {row.seq})" if row.seq is not None else f"row {row.id} (not sealed)"


def _too_early(row: Any) -> str:
    return f"{_named(row)} was written when the chain had {row.chain_length} rows: some before it were removed"


def _missing(first: int, last: int) -> str:
    return f"seq {first} was removed" if first == last else f"seq {first} to {last} were removed"
