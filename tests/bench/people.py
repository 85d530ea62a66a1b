"""Made-up holders of accounts, as many as a benchmark wants, and databases that know them."""

from collections.abc import Callable, Iterator
from itertools import islice

from bot.platform.clock import system_clock
from dialogs.parsing.normalise import national_id
from store import accounts
from store.database import migrate
from store.database.engine import Store
from tests.bench import load

Person = tuple[str, str]
"""A national ID and a mobile."""

AT_A_TIME = 10_000


def everybody() -> Iterator[Person]:
    """People without end, each another."""
    nine = 100_000_000
    for found in range(10_000_000):
        nine += 7
        person = next(p for digit in range(10) if (p := national_id(f"{nine:09d}{digit}")))
        yield person, f"+98912{found:07d}"


def known(url: str, number: int) -> tuple[Store, Iterator[Person]]:
    """A migrated database that knows so many people; and they, to be used up."""
    store = Store(url)
    migrate.upgrade(store)
    people = everybody()
    for _ in range(-(-number // AT_A_TIME)):
        rows = [
            {"national_id": person, "username": person, "mobile": mobile}
            for person, mobile in islice(people, min(AT_A_TIME, number))
        ]
        with store.writing() as connection:
            accounts.put(connection, rows, system_clock())
    store.analyze()  # as an import does
    return store, islice(everybody(), number)


def asking(public_url: str, people: Iterator[Person]) -> Callable[[int], tuple[list[bytes], list[str]]]:
    """What makes requests for a code: so many, each of another person; and the mobiles that the codes go to."""

    def requests(number: int) -> tuple[list[bytes], list[str]]:
        mine = list(islice(people, number))
        asked = [load.text(public_url, f"SM{mobile[1:]:0>32}", mobile, f"رمز {person}") for person, mobile in mine]
        return asked, [mobile for _, mobile in mine]

    return requests
