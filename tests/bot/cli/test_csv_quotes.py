"""An import takes just what RFC 4180 reads, whatever stands in the cells."""

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import delete

from bot.accounts import csv_cells
from dialogs.parsing.normalise import place_name
from store import accounts
from tests.support.import_desk import ACCOUNT, HEADER, ROW, Desk, national_ids
from tests.support.parts import NOON

# Any cell that can be written

HOSTILE = "\n0105829315,victim,09129999999,x\n"
CELL = st.one_of(
    st.text(st.sampled_from("\",;\t\n\r'= a0ی\u200c\u200f\ufeff\x1a"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from([HOSTILE, f'"{HOSTILE}"', HOSTILE.replace("\n", '"\r\n"'), HOSTILE.replace(",", ";")]),
    st.tuples(st.text(max_size=4).filter(lambda it: "\0" not in it and it.isprintable()), st.just(HOSTILE)).map(
        "".join
    ),
)


@pytest.mark.slow
@given(
    names=st.lists(st.tuples(CELL, CELL), max_size=6),
    strangers=st.lists(st.lists(CELL, min_size=5, max_size=5), max_size=3),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_it_takes_just_what_csv_reads_whatever_the_cells_are(
    reader: Desk, names: list[tuple[str, str]], strangers: list[list[str]], delimiter: str, end: str, quoting: Any
) -> None:
    with reader.store.writing() as connection:
        connection.execute(delete(ACCOUNT))
        victim = {"national_id": "0105829315", "username": "victim", "mobile": "+989194445566"}
        accounts.put(connection, [victim], NOON)
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["national_id", "username", "mobile", "full_name", "broker"])
    people = dict(zip(national_ids(len(names)), names, strict=True))
    writer.writerows([person, f"u{person}", "09351112233", *its] for person, its in people.items())
    writer.writerows(strangers)
    tally = reader.take(written.getvalue())
    read = list(csv.reader(StringIO(written.getvalue(), newline=""), delimiter=delimiter, strict=True))[1:]
    # Python's writer leaves a lone CR without quotes where lines end in LF; csv itself reads two rows of it.
    whole = [cells for cells in read if len(cells) == 5 and cells[0] in people]
    values = {cells[0]: [csv_cells.value(cell) for cell in cells[3:]] for cells in whole}
    # A broker's name is kept in the one spelling; one in which nothing can be seen is none.
    ours = {person: its for person, its in values.items() if not its[1] or place_name(its[1])}
    found = {person: [name or None, place_name(broker) or None] for person, (name, broker) in ours.items()}
    stored = reader.accounts()
    assert stored.pop("0105829315").mobile == "+989194445566"
    assert {person: [it.full_name, it.broker] for person, it in stored.items()} == found
    assert (tally.taken, tally.ended) == (len(ours), None)


@given(content=st.text(st.sampled_from('",\n\r;a0 '), max_size=60), cut=st.integers(0, 200))
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_what_it_takes_is_a_row_to_csv_too_however_wrong_the_quotes_are(reader: Desk, content: str, cut: int) -> None:
    with reader.store.writing() as connection:
        connection.execute(delete(ACCOUNT))
    rows = f"{ROW}{content}\n8052916372,omid,09351112233\n"
    text = HEADER + rows[: cut % len(rows)] + '"' + rows[cut % len(rows) :]
    reader.take(text)
    read = {cells[0] for cells in csv.reader(StringIO(text, newline="")) if cells}
    assert {*reader.accounts()} <= {csv_cells.value(cell) for cell in read}
