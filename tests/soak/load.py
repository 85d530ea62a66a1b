"""What people do all the while: pilgrims recover, at the bot or at Fakher; staff have codes sent; some are confused."""

import re
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from threading import Event, Thread

from tests.soak.worlds import Person, World

CODE = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)
PASSWORD = re.compile(r"^[a-z2-9]{4}(?:-[a-z2-9]{4}){2}$", re.MULTILINE)
# In seconds: how long somebody waits for a text before they give up.
PATIENCE_SECONDS = 75.0
VERIFY, SET, LOGIN = "/api/v1/codes/verify", "/api/v1/passwords", "/api/v1/passwords/verify"


class GaveUp(Exception):
    """Nothing came."""


def codes(world: World, phone: str) -> list[str]:
    """The codes that a phone was sent, oldest first."""
    return [code for text in world.carriers.texts_to(phone) for code in CODE.findall(text.body)]


def passwords(world: World, phone: str) -> list[str]:
    """The passwords that a phone was sent, oldest first."""
    return [word for text in world.carriers.texts_to(phone) for word in PASSWORD.findall(text.body)]


def newest(found: Callable[[World, str], list[str]], world: World, phone: str) -> str:
    """Wait for a phone's first code or password; the newest. GaveUp after a time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (there := found(world, phone)):
        if time.monotonic() > deadline:
            raise GaveUp
        time.sleep(0.05)
    return there[-1]


def ask(world: World, who: Person, rng: Random) -> str:
    """Ask for a code; the gateway that it was done by. Some texts the provider sends once more."""
    gateway, sid = rng.choice(("twilio", "twilio", "kannel")), f"SM{rng.randbytes(16).hex()}"
    for _ in range(rng.choice((1, 1, 1, 2))):
        if not world.doors.text(gateway, who.mobile, f"RESET {who.national_id}", sid):
            raise GaveUp
    return gateway


def hand_back(world: World, who: Person, gateway: str, rng: Random) -> None:
    """Text the code back; some do it twice, at the same moment."""
    code = newest(codes, world, who.mobile)
    twice = Thread(target=world.doors.text, args=(gateway, who.mobile, code), daemon=True)
    is_twice = rng.random() < 0.2
    if is_twice:
        twice.start()
    world.doors.text(gateway, who.mobile, code)
    if is_twice:
        twice.join()
    newest(passwords, world, who.mobile)


def by_text(world: World, who: Person, rng: Random) -> None:
    """A recovery by text."""
    hand_back(world, who, ask(world, who, rng), rng)


def after_a_mistake(world: World, who: Person, rng: Random) -> None:
    """A recovery with the ID asked for, and a wrong code first."""
    world.doors.text("twilio", who.mobile, "PASSWORD")
    gateway = ask(world, who, rng)
    code = newest(codes, world, who.mobile)
    world.doors.text(gateway, who.mobile, f"{(int(code) + 1) % 1_000_000:06d}")
    hand_back(world, who, gateway, rng)


def at_fakher(world: World, who: Person, rng: Random) -> None:
    """A recovery finished at Fakher; some text the code back as well, at the same moment."""
    gateway = ask(world, who, rng)
    code = newest(codes, world, who.mobile)
    both = Thread(target=world.doors.text, args=(gateway, who.mobile, code), daemon=True)
    is_both = rng.random() < 0.2
    if is_both:
        both.start()
    said = world.doors.call(VERIFY, who.mobile, {"national_id": who.national_id, "code": code}).said
    if is_both:
        both.join()
    if said.get("verified"):
        own = own_password(who)
        world.doors.call(SET, who.mobile, {"ticket": said["ticket"], "new_password": own})


def own_password(who: Person) -> str:
    """What somebody chooses at Fakher."""
    return f"saffron-{who.national_id[::-1]}-harbour"


def by_staff(world: World, who: Person, rng: Random) -> None:
    """Staff have a code sent to a pilgrim, who hands it back."""
    helper = next(world.clerks)
    world.doors.text("twilio", helper.mobile, f"RESET {who.national_id}")
    world.doors.text("twilio", helper.mobile, newest(codes, world, helper.mobile))
    hand_back(world, who, "twilio", rng)


def in_doubt(world: World, who: Person, rng: Random) -> None:
    """Somebody asks for help, for a code, and thinks better of it."""
    world.doors.text("twilio", who.mobile, "HELP")
    gateway = ask(world, who, rng)
    newest(codes, world, who.mobile)
    world.doors.text(gateway, who.mobile, "CANCEL")


SCRIPTS = {by_text: 10, after_a_mistake: 2, at_fakher: 3, by_staff: 2, in_doubt: 1}


class Load:
    """So many people a second, each in a thread, until it is ended. `outcomes` counts how their scripts ended."""

    def __init__(self, world: World, rate: float, rng: Random) -> None:
        """Prepare it."""
        self.world, self.rate, self.rng = world, rate, rng
        self.outcomes: Counter[str] = Counter()
        self._ending, self._people = Event(), list[Thread]()
        self._thread = Thread(target=self._go_on, name=f"load of {world.name}", daemon=True)

    def start(self) -> None:
        """Let people come."""
        self._thread.start()

    def end(self, *, waits: bool = True) -> None:
        """Let nobody come any more, and wait until all have gone, if that is wanted."""
        self._ending.set()
        self._thread.join()
        for person in self._people if waits else ():
            person.join()

    def _go_on(self) -> None:
        while not self._ending.wait(self.rng.expovariate(self.rate)):
            (script,) = self.rng.choices(list(SCRIPTS), list(SCRIPTS.values()))
            who, rng = next(self.world.pilgrims), Random(self.rng.random())
            person = Thread(target=self._play, args=(script, who, rng), daemon=True)
            self._people.append(person)
            person.start()

    def _play(self, script: Callable[[World, Person, Random], None], who: Person, rng: Random) -> None:
        try:
            script(self.world, who, rng)
            self.outcomes[f"{script.__name__}: done"] += 1
        except GaveUp:
            self.outcomes[f"{script.__name__}: gave up"] += 1
