"""The people of `make run`: made up, with IDs whose check digits are right. No text leaves the machine."""

from typing import NamedTuple

from sqlalchemy import Connection

from bot.platform.clock import system_clock
from dialogs.staff_vocabulary import Role
from store import accounts, staff
from store.accounts import names_at
from store.database.engine import Store
from store.staff import NewMember


class DemoPerson(NamedTuple):
    """A made-up group leader."""

    name: str
    national_id: str
    mobile: str
    language: str | None
    active: bool
    about: str


PEOPLE = (
    DemoPerson("زهرا احمدی", "0012345679", "+989121234567", "fa", True, "recovers in Persian"),
    DemoPerson("Omid Karimi", "8052916372", "+989351112233", "en", True, "recovers in English"),
    DemoPerson("فاطمة العامري", "4409173529", "+989162223344", "ar", True, "recovers in Arabic"),
    DemoPerson("رضا موسوی", "7604529186", "+989193334455", "fa", False, "is inactive: the neutral reply"),
)
# What the transcripts of the tests call them, in the same order.
NICKS = ("zahra", "omid", "fatima", "retired")
STAFF_NICKS = ("tehran", "broker", "chief")
PROVINCES = ("تهران", "فارس", "خوزستان", "قم")
BROKERS = ("نور", "نور", None, None)


class StaffPerson(NamedTuple):
    """A made-up staff member."""

    name: str
    mobile: str
    role: Role
    about: str
    province: str | None = None
    broker: str | None = None


STAFF = (
    StaffPerson("مریم رضایی", "+989121110001", Role.PROVINCIAL, "provincial user of Tehran", province="تهران"),
    StaffPerson("دفتر نور", "+989121110002", Role.BROKER, "broker of Zahra and Omid", broker="نور"),
    StaffPerson("علی کریمی", "+989121110003", Role.HEADQUARTERS, "headquarters"),
)


class Mobile(NamedTuple):
    """A made-up person's phone. `nick` is what transcripts call it; staff have no national ID here."""

    nick: str
    name: str
    number: str
    national_id: str
    language: str
    is_staff: bool


def mobiles() -> list[Mobile]:
    """Everybody's phone, pilgrims' first."""
    leaders = [
        Mobile(nick, it.name, it.mobile, it.national_id, it.language or "fa", is_staff=False)
        for nick, it in zip(NICKS, PEOPLE, strict=True)
    ]
    members = [
        Mobile(nick, it.name, it.mobile, "", "fa", is_staff=True) for nick, it in zip(STAFF_NICKS, STAFF, strict=True)
    ]
    return leaders + members


def seed(store: Store) -> None:
    """Put the people into the store, as they are."""
    now = system_clock()
    rows = [
        {
            "national_id": person.national_id,
            "username": _username(person),
            "mobile": person.mobile,
            "full_name": person.name,
            "province": province,
            "broker": broker,
            "language": person.language,
            "active": person.active,
        }
        for person, province, broker in zip(PEOPLE, PROVINCES, BROKERS, strict=True)
    ]
    with store.writing() as connection:
        accounts.put(connection, rows, now)
        for person in STAFF:
            staff.put(connection, NewMember(person.mobile, person.role, person.name, person.province, person.broker))


def lives_in(connection: Connection) -> bool:
    """Whether any of the made-up people is in a database, as `seed` has put them there; whatever schema it has."""
    known = {(_username(it), it.mobile) for it in PEOPLE} | {(it.name, it.mobile) for it in STAFF}
    return not known.isdisjoint(names_at(connection, [mobile for _, mobile in known]))


def _username(person: DemoPerson) -> str:
    return f"leader{person.national_id[-4:]}"
