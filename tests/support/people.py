"""The people of the tests."""

from itertools import groupby
from typing import Any

from bot.build import Bot, build
from store import accounts, staff
from store.database.engine import Store
from store.staff import NewMember
from tests.support.parts import CHEAP, NOON, Carrier, LoadedRandomSource, StoppedClock, settings

ZAHRA = {"national_id": "0012345679", "username": "zahra", "mobile": "+989121234567", "language": "fa"}
OMID = {"national_id": "8052916372", "username": "omid", "mobile": "+989351112233", "language": "en"}
FATIMA = {"national_id": "4409173529", "username": "fatima", "mobile": "+989162223344", "language": "ar"}
# A second account on one mobile.
TWIN = {"national_id": "2815093766", "username": "twin", "mobile": "+989351112233", "language": "en"}
RETIRED: dict[str, Any] = {
    "national_id": "7604529186",
    "username": "retired",
    "mobile": "+989193334455",
    "active": False,
}
LOCKED: dict[str, Any] = {
    "national_id": "0105829315",
    "username": "locked",
    "mobile": "+989194445566",
    "locked_at": NOON,
}
TEHRAN: dict[str, Any] = {"mobile": "+989111110001", "name": "Tehran", "role": "provincial", "province": "تهران"}
COLLEAGUE: dict[str, Any] = {"mobile": "+989111110002", "name": "Colleague", "role": "provincial", "province": "تهران"}
BROKER: dict[str, Any] = {"mobile": "+989111110003", "name": "Broker", "role": "broker", "broker": "نور"}
CHIEF: dict[str, Any] = {"mobile": "+989111110004", "name": "Chief", "role": "headquarters"}
# A staff member who is a pilgrim too.
LEADER: dict[str, Any] = {"mobile": "+989162223344", "name": "Leader", "role": "broker", "broker": "آفتاب"}
STAFF = (TEHRAN, COLLEAGUE, BROKER, CHIEF)

STRANGER = "+989300000001"
UNKNOWN_ID = "9401758263"

EVERYBODY: tuple[dict[str, Any], ...] = (ZAHRA, OMID, FATIMA, TWIN, RETIRED, LOCKED)
PHONES: dict[str, str] = {
    "zahra": ZAHRA["mobile"],
    "omid": OMID["mobile"],
    "fatima": FATIMA["mobile"],
    "retired": RETIRED["mobile"],
    "locked": LOCKED["mobile"],
    "stranger": STRANGER,
    "clerk": "+989300000002",  # of nobody's staff
    "tehran": TEHRAN["mobile"],
    "colleague": COLLEAGUE["mobile"],
    "broker": BROKER["mobile"],
    "chief": CHIEF["mobile"],
    "newphone": "+989171112233",
}


# Who is where, for the scopes of staff.
PLACES = {
    ZAHRA["national_id"]: {"province": "تهران", "broker": "نور"},
    OMID["national_id"]: {"province": "فارس", "broker": "نور"},
    RETIRED["national_id"]: {"province": "تهران", "broker": "نور"},
    LOCKED["national_id"]: {"province": "تهران", "broker": "آفتاب"},
}


def bot_on(store: Store, clock: StoppedClock | None = None, **changes: str) -> Bot:
    """A bot of its own on a store that is there, as another process would have it, with settings of the environment."""
    return build(
        settings(**changes),
        clock=clock or StoppedClock(),
        random_source=LoadedRandomSource(),
        gateways=[Carrier()],
        store=store,
        cost=CHEAP,
    )


def settle(store: Store, *people: dict[str, Any]) -> None:
    """Put people into a store; everybody, where none are named."""
    rows = [PLACES.get(person["national_id"], {}) | person for person in people or EVERYBODY]
    with store.writing() as connection:
        for _, alike in groupby(rows, dict.keys):
            accounts.put(connection, list(alike), NOON)


def employ(store: Store, *people: dict[str, Any]) -> None:
    """Let people order by text; all the staff, where none are named."""
    with store.writing() as connection:
        for person in people or STAFF:
            staff.put(connection, NewMember(**person))


def settled(bot: Bot) -> Bot:
    """A bot that knows everybody."""
    settle(bot.store)
    return bot
