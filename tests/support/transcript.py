"""Transcripts: a conversation as two people would write it down, played against a bot.

    > text          the phone in hand texts the bot; `omid> text` takes another phone in hand
    < phrase        what the bot then sends, by phrase key, to that phone
    omid< phrase    what it sends to another
    < en phrase     the same, and the language that it must be in
    + 10 min        time passes (s, min, h, d)
    ! what          something else happens: see HAPPENINGS
    # words         a remark

All that is sent after a text is compared, so silence is what follows a `>` without a `<`.
`{code}` is the newest code that went to the phone in hand, `{older}` the one before it,
`{wrong}` a code that is not it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import count

from sqlalchemy import select, update

from bot.accounts import staff_removal
from bot.build import Bot
from bot.ports import Inbound, Reason, Receipt
from dialogs.replies.segments import size
from store import conversations
from store.service import seasons
from store.tables import AccountRow, DeliveryStatus, OutboundMessageRow, table
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import LEADER, PHONES, STAFF, employ

MESSAGE = table(OutboundMessageRow)
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
LINE = re.compile(r"(?P<who>[\w-]*)(?P<sign>[><+!])\s?(?P<rest>.*)", re.DOTALL)
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)


@dataclass
class Player:
    """Plays a transcript and remembers what each phone has been sent."""

    bot: Bot
    carrier: Carrier
    clock: StoppedClock
    in_hand: str = "zahra"
    codes: dict[str, list[str]] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=count)

    def play(self, transcript: str) -> None:
        """Play all lines; AssertionError names the first line that went otherwise."""
        lines = [line.strip() for line in transcript.strip().splitlines()]
        waiting: list[str] = []
        for number, line in enumerate(lines, start=1):
            if not line or line.startswith("#"):
                continue
            parts = LINE.fullmatch(line)
            assert parts, f"line {number} is not of a transcript: {line}"
            if parts["sign"] == "<":
                assert waiting, f"line {number}: {line}\nbut nothing (more) was sent"
                said = self._expected(parts["who"], parts["rest"])
                assert re.fullmatch(said, waiting[0]), f"line {number}: {line}\nbut it was {waiting[0]}"
                waiting.pop(0)
                continue
            assert not waiting, f"before line {number}: {line}\nthe bot also sent {waiting}"
            waiting = self._act(parts["sign"], parts["who"], parts["rest"])
        assert not waiting, f"at the end the bot also sent {waiting}"

    def _expected(self, who: str, said: str) -> str:
        language, _, phrase = said.strip().rpartition(" ")
        return f"{who or self.in_hand}: {language or '[a-z]+'} {re.escape(phrase)}"

    def _act(self, sign: str, who: str, rest: str) -> list[str]:
        if sign == "+":
            number, unit = rest.split()
            self.clock.forward(**{UNITS[unit]: float(number)})
            return []
        if sign == "!":
            what, *words = rest.split()
            HAPPENINGS[what](self, *words)
            return self._sent()
        self.in_hand = who or self.in_hand
        self.text(rest)
        return self._sent()

    def text(self, words: str) -> None:
        """The phone in hand texts the bot."""
        mine = self.codes.get(self.in_hand, [])
        if "{" in words:
            newest = mine[-1] if mine else "000000"
            wrong = f"{(int(newest) + 1) % 10**6:06d}"
            words = words.format(code=newest, older=mine[-2] if len(mine) > 1 else "", wrong=wrong)
        self.bot.hear(Inbound("simulated", f"M{next(self.numbers)}", PHONES[self.in_hand], words.replace("\\n", "\n")))

    def _sent(self) -> list[str]:
        before = len(self.carrier.sent)
        self.bot.courier.deliver_due()
        return [self._seen(text.ref, text.to, text.text) for text in self.carrier.sent[before:]]

    def _seen(self, ref: int, to: str, words: str) -> str:
        assert size(words).segments == 1, f"more than one text: {words}"
        with self.bot.store.reading() as connection:
            row = connection.execute(select(MESSAGE.c.phrase, MESSAGE.c.language).where(MESSAGE.c.id == ref)).one()
        who = next(name for name, phone in PHONES.items() if phone == to)
        if row.phrase.startswith("code") and CODE.search(words):
            self.codes.setdefault(who, []).extend(CODE.findall(words))
        return f"{who}: {row.language} {row.phrase}"


def _season(player: Player, opens: str, closes: str) -> None:
    with player.bot.store.writing() as connection:
        seasons.put(connection, date.fromisoformat(opens), date.fromisoformat(closes))


def _no_season(player: Player) -> None:
    with player.bot.store.writing() as connection:
        seasons.clear(connection)


def _sweep(player: Player) -> None:
    for job in player.bot.jobs.all():
        job.run()


def _employ_leader(player: Player) -> None:
    employ(player.bot.store, LEADER)


def _employ(player: Player, who: str, province: str = "") -> None:
    """One of the staff, taken on again; in another province, where one is named."""
    (person,) = [it for it in STAFF if it["mobile"] == PHONES[who]]
    employ(player.bot.store, person | ({"province": province} if province else {}))


def _change_account(player: Player, who: str, **columns: object) -> None:
    account = table(AccountRow)
    with player.bot.store.writing() as connection:
        connection.execute(update(account).where(account.c.mobile == PHONES[who]).values(columns))


def _place(player: Player, who: str, province: str) -> None:
    _change_account(player, who, province=province)


def _lock(player: Player, who: str) -> None:
    _change_account(player, who, locked_at=player.clock(), failures=100)


def _dismiss(player: Player, who: str) -> None:
    with player.bot.store.writing() as connection:
        staff_removal.remove(connection, PHONES[who], player.clock())


def _undelivered(player: Player, who: str) -> None:
    """The newest text to a phone is reported as undelivered."""
    with player.bot.store.reading() as connection:
        newest = select(MESSAGE.c.id).where(MESSAGE.c.phone == PHONES[who]).order_by(MESSAGE.c.id.desc()).limit(1)
        found = connection.execute(newest).scalar_one()
    assert player.bot.note(Receipt("simulated", f"P{found}", DeliveryStatus.FAILED, error=Reason.UNREACHABLE))


def _import(player: Player, who: str, mobile: str) -> None:
    _change_account(player, who, mobile=mobile)


def _unlock(player: Player, who: str) -> None:
    _change_account(player, who, locked_at=None, failures=0)


def _opt_out(player: Player, who: str) -> None:
    with player.bot.store.writing() as connection:
        conversations.opt_out(connection, PHONES[who], player.clock(), "idle")


HAPPENINGS: dict[str, Callable[..., None]] = {
    "season": _season,
    "no-season": _no_season,
    "unlock": _unlock,
    "sweep": _sweep,
    "employ-leader": _employ_leader,
    "employ": _employ,
    "place": _place,
    "lock": _lock,
    "dismiss": _dismiss,
    "undelivered": _undelivered,
    "import": _import,
    "opt-out": _opt_out,
}
