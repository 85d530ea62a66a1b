"""The audit's chain: whatever was changed, removed or put there shows, and which row it is."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from bot.audit import hash_chain as module
from bot.audit.hash_chain import BATCH, Broken, Chain, Proof
from bot.audit.trail import Entry, Trail, digest
from bot.credentials.keyring import Keyring
from bot.platform.random_source import SystemRandomSource
from bot.settings import read_keys
from dialogs.audit_vocabulary import Action, Actor, Outcome
from store import audit
from store.audit import AUDIT, HEAD, KEY
from store.database.engine import Store
from store.database.times import as_text
from tests.support import made_season
from tests.support.parts import KEYS, NOON, StoppedClock

NEW = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
NEWEST = "k3:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
WHOLE = Entry(Actor.STAFF, Action.STAFF_RESET, Outcome.REFUSED, "too_often", "…4567", 3, 2, "R1")
BARE = Entry(Actor.BOT, Action.CODE_SENT)
# What every column is changed to. None stands for NULL, both ways.
CHANGES: dict[str, list[object]] = {
    "id": [9_999],
    "at": [NOON + timedelta(microseconds=1), NOON - timedelta(days=1)],
    "actor": ["bot", "pilgrim", ""],
    "who": ["…9999", "", "…4567 "],
    "action": ["staff_unlock", ""],
    "outcome": ["ok", ""],
    "reason": [None, "", "too_soon"],
    "account_id": [None, 4, 0],
    "staff_id": [None, 3, 0],
    "ref": [None, "", "R2"],
    "nonce": ["n"],
    "key_id": ["k2", "k9", ""],
    "digest": [b"", bytes(32)],
    "chain_length": [None, 0, -1, 9_999],
    "seq": [None, 0, -1, 9_999],
    "seal": [None, b"", bytes(32)],
}


def make_chain(store: Store, keyring: str = KEYS) -> Chain:
    return Chain(store, StoppedClock(), Trail(Keyring.of(read_keys(keyring)), SystemRandomSource()))


@pytest.fixture(params=["whole", "bare"])
def entry(request: pytest.FixtureRequest) -> Entry:
    return WHOLE if request.param == "whole" else BARE


@pytest.fixture
def chain(store: Store) -> Chain:
    return make_chain(store, f"{KEYS},{NEW}")


def note(chain: Chain, *entries: Entry) -> None:
    with chain.store.writing() as connection:
        chain.trail.note(connection, NOON, *entries)


def filled(chain: Chain, number: int = 7, entry: Entry = WHOLE) -> Chain:
    note(chain, *(replace(entry, account_id=entry.account_id and entry.account_id + 100 * it) for it in range(number)))
    assert chain.seal_due() == number
    return chain


def run(store: Store, *statements: Any) -> None:
    with store.writing() as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount


def at(seq: int) -> Any:
    return AUDIT.c.seq == seq


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(AUDIT).order_by(AUDIT.c.id)))


def others(value: object, column: str) -> list[object]:
    found = [other for other in CHANGES[column] if other != value]
    assert found
    return found


def faults(chain: Chain) -> list[str]:
    found = chain.prove().faults
    assert found == chain.prove().faults, "a second look must see the same"
    return found


# Unbroken


def test_an_empty_audit_is_unbroken(chain: Chain) -> None:
    assert chain.prove() == Proof()


def test_rows_are_sealed_and_proven(chain: Chain) -> None:
    note(chain, WHOLE, BARE)
    note(chain, WHOLE)
    proof = chain.prove()
    assert (proof.rows, proof.faults) == (3, [])
    first, second, third = rows(chain.store)
    assert [row.seq for row in (first, second, third)] == [1, 2, 3]
    assert len({row.seal for row in (first, second, third)} | {row.digest for row in (first, second, third)}) == 6
    assert (proof.end.seq, proof.end.seal) == (3, third.seal)


def test_many_rows_are_sealed_batch_by_batch(chain: Chain) -> None:
    filled(chain, 2 * BATCH + 3, BARE)
    assert chain.seal_due() == 0
    assert chain.prove().rows == 2 * BATCH + 3


def test_a_row_that_was_committed_late_is_sealed_later(chain: Chain) -> None:
    """Ids are given before a commit, so a lower one may come to light after a higher one."""
    filled(chain, 3)
    run(chain.store, update(AUDIT).where(at(2)).values(seq=None, seal=None))  # stands for one not committed yet
    run(chain.store, update(AUDIT).where(at(3)).values(seq=None, seal=None))
    run(chain.store, update(HEAD).values(seq=1, seal=rows(chain.store)[0].seal))
    run(chain.store, update(AUDIT).where(AUDIT.c.id == rows(chain.store)[1].id).values(id=50))
    assert chain.seal_due() == 2
    assert faults(chain) == []


# One row


def test_a_changed_column_is_found(chain: Chain, entry: Entry) -> None:
    filled(chain, entry=entry)
    for column in AUDIT.columns:
        is_found_in(chain, column.name)


def is_found_in(chain: Chain, column: str) -> None:
    """Change a column of some rows, one at a time, and put it right again."""
    changes = [(row, value) for row in rows(chain.store)[::3] for value in others(getattr(row, column), column)]
    for row, value in changes:
        named = AUDIT.c.nonce == (value if column == "nonce" else row.nonce)
        run(chain.store, update(AUDIT).where(AUDIT.c.nonce == row.nonce).values({column: value}))
        found = chain.prove().faults
        ids = {row.id, value} if column == "id" else {row.id}
        assert any(f"row {it} " in fault for it in ids for fault in found), (value, found)
        if column not in ("id", "seq", "key_id") and (column, row.seq) != ("seal", 7):
            assert len(found) == 1, "only the row that was changed is named"
        run(chain.store, update(AUDIT).where(named).values({column: getattr(row, column)}))
    assert faults(chain) == []


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("at", "'2026-09-01T09:00:00+00:00'"),
        ("at", "'x'"),
        ("at", "7"),
        ("who", "x'ff'"),
        ("who", "CAST(x'ff' AS TEXT)"),
        ("account_id", "'x'"),
        ("account_id", "2.5"),
        ("digest", "'x'"),
        ("seal", "'x'"),
        ("seal", "1"),
        ("seq", "'x'"),
        ("seq", "2.5"),
    ],
)
def test_what_no_column_should_hold_is_found(sqlite_url: str, column: str, written: str) -> None:
    with closing(Store(sqlite_url)) as store:
        chain = filled(make_chain(store))
        (row,) = [each for each in rows(store) if each.seq == 4]
        run(store, text(f"UPDATE audit SET {column} = {written} WHERE id = {row.id}"))
        assert any("row 4 " in fault or "can't be read" in fault for fault in faults(chain))


@pytest.mark.parametrize("written", ["'infinity'", "'0001-01-01 BC'"])
def test_a_time_that_no_clock_shows_is_found(postgresql_url: str, written: str) -> None:
    with closing(Store(postgresql_url)) as store:
        chain = filled(make_chain(store))
        run(store, text(f"UPDATE audit SET at = {written} WHERE seq = 4"))
        assert faults(chain)


def test_two_columns_changed_at_once_are_found(chain: Chain) -> None:
    filled(chain)
    other = rows(chain.store)[5]
    run(chain.store, update(AUDIT).where(at(2)).values(who="", digest=other.digest))
    assert "row 2 (seq 2) was changed, or put there" in faults(chain)


@pytest.mark.parametrize("column", [name for name in CHANGES if name not in ("id", "seq", "seal")])
def test_a_row_that_was_changed_before_it_is_sealed_is_found(chain: Chain, entry: Entry, column: str) -> None:
    filled(chain)
    for number in range(len(CHANGES[column])):
        note(chain, entry)
        row = rows(chain.store)[-1]
        value = others(getattr(row, column), column)[number:][:1]
        if value:
            run(chain.store, update(AUDIT).where(AUDIT.c.id == row.id).values({column: value[0]}))
            assert any(f"row {row.id} " in fault for fault in faults(chain))


@pytest.mark.parametrize("changes", [{"seq": 9}, {"seal": bytes(32)}, {"seq": 9, "seal": bytes(32)}])
def test_a_row_that_only_looks_sealed_is_found(chain: Chain, changes: dict[str, object]) -> None:
    filled(chain)
    note(chain, WHOLE)
    run(chain.store, update(AUDIT).where(AUDIT.c.seq.is_(None)).values(changes))
    assert any("row 8 " in fault for fault in faults(chain))


# Rows that are gone, too many or in another's place


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_a_removed_row_is_found(chain: Chain, seq: int) -> None:
    run(filled(chain).store, delete(AUDIT).where(at(seq)))
    assert faults(chain) == [f"seq {seq} was removed" + (f", before row {seq + 1} (seq {seq + 1})" if seq < 7 else "")]


def test_several_removed_rows_are_found(chain: Chain) -> None:
    run(filled(chain).store, delete(AUDIT).where(AUDIT.c.seq.in_([2, 3, 6, 7])))
    assert faults(chain) == ["seq 2 to 3 were removed, before row 4 (seq 4)", "seq 6 to 7 were removed"]


def test_an_emptied_table_is_found(chain: Chain) -> None:
    run(filled(chain).store, delete(AUDIT))
    assert faults(chain) == ["seq 1 to 7 were removed"]


def test_what_was_removed_at_the_end_does_not_come_back_by_another_row(chain: Chain) -> None:
    run(filled(chain).store, delete(AUDIT).where(at(7)))
    note(chain, WHOLE)
    with pytest.raises(Broken):
        chain.seal_due()
    gone, too_early = faults(chain)
    assert gone == "seq 7 was removed"
    assert too_early.endswith("(not sealed) was written when the chain had 7 rows: some before it were removed")


def test_an_old_row_that_was_removed_shows_though_all_after_it_were_sealed_anew(chain: Chain) -> None:
    """Whoever owns the database deletes a row, puts the head back, and empties what follows: the bot seals it anew."""
    filled(chain)
    note(chain, WHOLE, BARE)
    assert chain.seal_due() == 2
    third = next(row for row in rows(chain.store) if row.seq == 3)
    run(chain.store, delete(AUDIT).where(at(4)), update(AUDIT).where(AUDIT.c.seq > 4).values(seq=None, seal=None))
    run(chain.store, update(HEAD).values(seq=3, key_id=third.key_id, seal=third.seal))
    assert chain.seal_due() == 5
    assert faults(chain) == ["row 8 (seq 7) was written when the chain had 7 rows: some before it were removed"]


def test_a_seal_that_was_kept_is_found_in_the_chain_and_no_other(chain: Chain) -> None:
    end = filled(chain).log_end()
    assert end is not None
    note(chain, WHOLE)
    chain.seal_due()
    assert chain.holds(end.seq, end.seal)
    assert not chain.holds(end.seq - 1, end.seal) and not chain.holds(99, end.seal)


def copied(store: Store, which: int, **changes: object) -> None:
    (row,) = [each for each in rows(store) if each.seq == which]
    run(store, insert(AUDIT).values({**row._asdict(), "id": 500, "seq": None, "seal": None, **changes}))


@pytest.mark.parametrize("changes", [{}, {"seq": 8}, {"seq": 900, "seal": bytes(32)}, {"who": "…0000"}, {"nonce": "x"}])
def test_an_inserted_row_is_found(chain: Chain, changes: dict[str, object]) -> None:
    filled(chain)
    copied(chain.store, 4, **changes)
    assert any("row 500 " in fault for fault in faults(chain))


def test_a_row_in_anothers_place_is_found(chain: Chain) -> None:
    filled(chain)
    run(chain.store, delete(AUDIT).where(at(5)))
    copied(chain.store, 4, seq=5)
    assert any("row 500 (seq 5)" in fault for fault in faults(chain))


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 6), (6, 7)])
@pytest.mark.parametrize("columns", [("seq",), ("seq", "seal"), ("account_id",), ("account_id", "nonce", "digest")])
def test_rows_that_changed_places_are_found(chain: Chain, one: int, other: int, columns: tuple[str, ...]) -> None:
    before = {row.seq: row for row in rows(filled(chain).store)}
    run(chain.store, update(AUDIT).where(AUDIT.c.id == before[one].id).values(seq=-1))
    for row, like in ((other, one), (one, other)):
        values = {"seq": before[row].seq} | {name: getattr(before[like], name) for name in columns}
        run(chain.store, update(AUDIT).where(AUDIT.c.id == before[row].id).values(values))
    found = " ".join(faults(chain))
    assert f"row {before[one].id} " in found
    assert f"row {before[other].id} " in found


# The head


@pytest.mark.parametrize("changes", [{"seq": 8}, {"seq": 6}, {"seq": 0}, {"seal": bytes(32)}, {"key_id": "k2"}])
def test_a_changed_head_is_found_and_nothing_is_sealed_on_top(chain: Chain, changes: dict[str, object]) -> None:
    run(filled(chain).store, update(HEAD).values(changes))
    note(chain, WHOLE)
    with pytest.raises(Broken):
        chain.seal_due()
    found = faults(chain)
    assert len(found) == 1
    assert "head" in found[0] or found == ["seq 8 was removed"]


def test_a_missing_head_is_found(chain: Chain) -> None:
    run(filled(chain).store, delete(HEAD))
    assert faults(chain) == ["the head of the chain is missing"]
    note(chain, WHOLE)
    with pytest.raises(Broken):
        chain.seal_due()


def test_a_missing_head_of_no_rows_is_found(chain: Chain) -> None:
    run(chain.store, delete(HEAD))
    assert faults(chain) == ["the head of the chain is missing"]


def test_an_end_that_was_cut_off_with_its_head_shows_by_the_seal_that_was_told(chain: Chain) -> None:
    """Nothing within the table can show it; whoever noted the newest seal sees it."""
    filled(chain)
    told = chain.prove().end
    six = rows(chain.store)[5]
    run(chain.store, delete(AUDIT).where(at(7)), update(HEAD).values(seq=6, seal=six.seal))
    proof = chain.prove()
    assert proof.faults == []
    assert proof.end.seq < told.seq
    note(chain, WHOLE)
    assert chain.prove().end.seal != told.seal


def test_so_many_faults_are_told_and_no_more(chain: Chain) -> None:
    run(filled(chain, 50).store, update(AUDIT).values(who=""))
    assert len(faults(chain)) == module.MOST_TOLD


# Keys


def test_rows_of_an_older_key_are_proven_as_before(store: Store) -> None:
    filled(make_chain(store))
    later = make_chain(store, f"{NEW},{KEYS}")
    filled(later, 3)
    proof = later.prove()
    assert (proof.rows, proof.faults) == (10, [])
    assert {row.key_id for row in rows(store)} == {"k1", "k2"}


def test_a_row_whose_key_is_gone_can_not_be_proven(store: Store) -> None:
    filled(make_chain(store), 2)
    alone = make_chain(store, NEW)
    assert faults(alone) == [
        f"row {it} (seq {it}) can't be proven: its key 'k1' is not in SECRET_KEYS" for it in (1, 2)
    ]


def test_a_process_leaves_rows_under_a_key_that_it_has_not_to_others(store: Store) -> None:
    older, newer = make_chain(store), make_chain(store, f"{NEW},{KEYS}")
    note(newer, WHOLE)
    note(older, WHOLE)
    assert older.seal_due() == 1
    assert newer.seal_due() == 1
    assert faults(newer) == []


def test_a_key_can_be_taken_out_once_another_vouches_for_it(store: Store) -> None:
    filled(make_chain(store))
    both = make_chain(store, f"{NEW},{KEYS}")
    assert both.rekey().faults == []
    alone = make_chain(store, NEW)
    proof = alone.prove()
    assert (proof.rows, proof.faults) == (8, [])
    assert rows(store)[-1].action == "audit_rekeyed"
    for seq in (1, 4, 7, 8):
        row = rows(store)[seq - 1]
        run(store, update(AUDIT).where(at(seq)).values(who="…0000"))
        assert faults(alone) == [f"row {seq} (seq {seq}) was changed, or put there"]
        run(store, update(AUDIT).where(at(seq)).values(who=row.who))


def test_keys_can_be_taken_out_one_after_the_other(store: Store) -> None:
    filled(make_chain(store), 2)
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == []
    filled(make_chain(store, NEW), 2)
    assert make_chain(store, f"{NEWEST},{NEW}").rekey().faults == []
    alone = make_chain(store, NEWEST)
    filled(alone, 2)
    assert (alone.prove().rows, faults(alone)) == (8, [])


def test_rekeying_twice_does_no_harm(store: Store) -> None:
    filled(make_chain(store))
    both = make_chain(store, f"{NEW},{KEYS}")
    assert both.rekey().faults == both.rekey().faults == []
    assert make_chain(store, NEW).prove().faults == []


def test_an_older_key_makes_no_new_rows_once_it_was_given_up(store: Store) -> None:
    """Whoever has got hold of it can't write with it."""
    older = filled(make_chain(store), 2)
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == []
    note(older, WHOLE)
    assert faults(make_chain(store, NEW)) == ["row 4 (not sealed) is under the key 'k1', which was given up before"]


def test_what_an_older_key_wrote_can_not_be_rewritten_with_it(store: Store) -> None:
    older = filled(make_chain(store), 3)
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == []
    key, former = older.keyring.audits["k1"], b""
    for row in rows(store)[:3]:
        forged = digest(key, {**row._asdict(), "who": "…0000", "at": as_text(row.at)})
        run(store, update(AUDIT).where(AUDIT.c.id == row.id).values(who="…0000", digest=forged))
        (written,) = [each for each in rows(store) if each.id == row.id]
        former = module.seal(key, former, row.seq, written)
        run(store, update(AUDIT).where(AUDIT.c.id == row.id).values(seal=former))
    assert faults(make_chain(store, NEW)) == ["row 4 (seq 4) was changed, or put there"]


def test_a_broken_audit_is_not_rekeyed(store: Store) -> None:
    run(filled(make_chain(store)).store, update(AUDIT).where(at(3)).values(who=""))
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == ["row 3 (seq 3) was changed, or put there"]
    with store.reading() as connection:
        assert audit.kept_keys(connection) == {}
    assert len(rows(store)) == 7


@pytest.mark.parametrize("way", ["removed", "changed", "of another"])
def test_what_is_kept_of_a_key_can_not_be_tampered_with(store: Store, way: str) -> None:
    filled(make_chain(store), 2)
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == []
    if way == "removed":
        run(store, delete(KEY))
    else:
        run(store, update(KEY).values({"sealed": b"x"} if way == "changed" else {"key_id": "k9"}))
    assert faults(make_chain(store, NEW))


def test_it_shows_no_key() -> None:
    keyring = Keyring.of(read_keys(KEYS))
    retired = module.Retired(keyring.audits["k1"], 3)
    assert keyring.audits["k1"].hex() not in repr(retired) + repr(keyring)
    assert repr(keyring.audits["k1"]) not in repr(retired) + repr(keyring)


def test_a_season_that_is_made_up_has_an_audit_as_in_life(store: Store) -> None:
    made_season.make(store, 60, NOON, days=2)
    proof = make_chain(store).prove()
    assert (proof.faults, proof.sealed, proof.rows > 20, proof.end.seq) == ([], 0, True, proof.rows)
