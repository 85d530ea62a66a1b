"""The chain under load: many writers and many sealers at once, and a sealer that is killed."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bot.audit.hash_chain import Chain
from bot.audit.trail import Entry
from dialogs.audit_vocabulary import Action, Actor
from store.database.engine import Store
from store.database.prepared import flush
from tests.bot.audit.test_audit import rows
from tests.bot.audit.test_hash_chain import make_chain
from tests.support import lifeline
from tests.support.parts import KEYS, NOON, eventually

pytestmark = pytest.mark.slow

BARE = Entry(Actor.BOT, Action.CODE_SENT)
SEAL_FOR_EVER = """
import sys
from bot.audit.trail import Entry
from dialogs.audit_vocabulary import Action, Actor
from store.database.engine import Store
from tests.bot.audit.test_hash_chain import make_chain
from tests.support.parts import NOON
chain = make_chain(Store(sys.argv[1]))
while True:
    with chain.store.writing() as connection:
        chain.trail.note(connection, NOON, *[Entry(Actor.BOT, Action.CODE_SENT)] * 200)
    chain.seal_due()
"""


def write(chain: Chain, transactions: int) -> None:
    for _ in range(transactions):
        with chain.store.writing() as connection:
            chain.trail.note(connection, NOON, BARE, BARE)


def test_many_sealers_and_writers_make_one_chain(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(6)]
    chains = [make_chain(store) for store in stores]
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, chain, 40) for chain in chains[:3]]
        sealers = [pool.submit(lambda chain: [chain.seal_due() for _ in range(20)], chain) for chain in chains[3:]]
        sealed = sum(sum(each.result()) for each in sealers)
        for each in writers:
            each.result()
    sealed += chains[0].seal_due()
    proof = chains[0].prove()
    for store in stores:
        store.close()
    assert (sealed, proof.rows, proof.faults) == (240, 240, [])


def test_rows_of_a_transaction_that_commits_late_are_sealed_after_those_of_one_that_began_later(
    postgresql_url: str,
) -> None:
    with closing(Store(postgresql_url)) as store:
        chain = make_chain(store)
        with store.writing() as slow:
            chain.trail.note(slow, NOON, BARE)
            flush(slow)
            write(chain, 1)
            assert chain.seal_due() == 2
        assert chain.seal_due() == 1
        assert [row.seq for row in rows(store)] == [3, 1, 2]
        assert chain.prove().faults == []


@pytest.mark.process
def test_a_sealer_that_is_killed_leaves_an_unbroken_chain(database_url: str) -> None:
    process = lifeline.hold(subprocess.Popen([sys.executable, "-W", "ignore", "-c", SEAL_FOR_EVER, database_url]))
    with closing(Store(database_url)) as store:
        try:
            assert eventually(lambda: len(rows(store)) > 1_000, seconds=60)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        proof = make_chain(store).prove()
        assert proof.faults == []
        assert proof.rows == proof.end.seq == len(rows(store)) > 1_000


def test_a_row_is_proven_while_others_are_written(database_url: str) -> None:
    with closing(Store(database_url)) as store, closing(Store(database_url)) as other, ThreadPoolExecutor(1) as pool:
        chain, busy = make_chain(store), make_chain(other, KEYS)
        writing = pool.submit(write, busy, 100)
        while not writing.done():
            assert chain.prove().faults == []
        writing.result()
        assert chain.prove().rows == 200
