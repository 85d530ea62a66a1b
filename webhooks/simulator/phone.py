"""Two phones in the browser, under the simulated carrier only.

Texts go in by the carrier's signed webhook, as in production; the browser never holds the key. A phone is
switched on while its page is open: each look at it has the carrier confirm what has arrived.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request
from sqlalchemy import Row

from bot.build import Bot
from bot.gateways.simulated import Message, Simulated
from bot.inbound.facts import state_of
from bot.platform.clock import TEHRAN
from bot.simulation.demo import Mobile, mobiles
from bot.simulation.state import CarrierFault
from dialogs.parsing.parse import Explanation, explain
from dialogs.replies.segments import size
from dialogs.staff_vocabulary import CONFIRMING, ChangeState, Command, StaffState
from dialogs.tables.dialog import Dialog
from dialogs.tables.mobile_change import MOBILE_CHANGE
from dialogs.tables.recovery import RECOVERY
from dialogs.tables.staff import STAFF
from store.tables import DeliveryStatus
from store.views import phone_debug
from webhooks import html
from webhooks.simulator.diagram import diagram
from webhooks.simulator.mobile import Phone
from webhooks.simulator.transcript import Said, Sent, Writer, code_in

LONGEST = 1600
LARGEST_ID = 2**31 - 1
LONG = ("سلام، رمز سامانه فاخر را فراموش کرده‌ام. لطفا راهنمایی کنید. " * 30)[: LONGEST - 1] + "."
REQUESTS = {"fa": "رمز", "en": "RESET", "ar": "نسيت كلمة المرور"}
STOPS = {"fa": "لغو11", "en": "STOP", "ar": "إيقاف"}
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
TICKS = {
    DeliveryStatus.QUEUED: "queued",
    DeliveryStatus.DROPPED: "failed",
    DeliveryStatus.FAILED: "failed",
    DeliveryStatus.DELIVERED: "delivered",
}
JUMP = timedelta(minutes=10)
# Any other number: somebody whom the service does not know.
STRANGER = Mobile("stranger", "", "", "", "fa", is_staff=False)


def routes(bot: Bot) -> Blueprint:
    """/phone, and what its script asks for."""
    blueprint, lock = Blueprint("phone", __name__), Lock()
    blueprint.add_url_rule("/phone", "show", lambda: _show(bot))
    blueprint.add_url_rule("/phone/now", "now", lambda: _now(bot), methods=["POST"])
    blueprint.add_url_rule("/phone/texts", "text", lambda: _text(bot, lock), methods=["POST"])
    blueprint.add_url_rule("/phone/transcript", "transcript", lambda: _transcript(bot), methods=["POST"])
    if bot.simulation is not None:
        blueprint.add_url_rule("/phone/later", "later", lambda: _later(bot), methods=["POST"])
        blueprint.add_url_rule("/phone/faults", "set_fault", lambda: _set_fault(bot), methods=["POST"])
    return blueprint


# Every dialog, in the order in which they are drawn.
DRAWN: dict[str, Dialog[Any, Any]] = {"recovery": RECOVERY, "staff": STAFF, "mobile_change": MOBILE_CHANGE}


def _show(bot: Bot) -> Response:
    people = mobiles()
    second = next((it.number for it in people if it.is_staff), people[1].number)
    return html.page(
        "phone.html",
        html.language_asked(),
        people=people,
        chips={it.number: _chips(it) for it in people} | {STRANGER.nick: _chips(STRANGER)},
        chosen=[people[0].number, second],
        faults=list(CarrierFault) if bot.simulation else [],
        dialogs={name: diagram(dialog) for name, dialog in DRAWN.items()},
        longest=LONGEST,
    )


def _chips(person: Mobile) -> dict[str, str]:
    """The ready texts of a person, by what is tried with each."""
    everybody = mobiles()
    own = person.national_id or everybody[0].national_id
    other = next(it.national_id for it in everybody if it.national_id not in {"", own})
    word = REQUESTS[person.language]
    return {
        "request": f"{word} {own}",
        "wrong_digit": f"{word} {own[:-1]}{(int(own[-1]) + 1) % 10}",
        "persian_digits": f"{REQUESTS['fa']} {own.translate(PERSIAN)}",
        "another": f"{word} {other}",
        "stop": STOPS[person.language],
        "empty": "",
        "long": LONG,
        "reset": f"بازنشانی {everybody[0].national_id}",
    }


def _now(bot: Bot) -> Response:
    asked = _asked().get("numbers")
    numbers = [bot.phone_numbers.mobile(str(number)) for number in asked] if isinstance(asked, list) else abort(400)
    answer = jsonify(
        now=bot.clock().isoformat(),
        ahead=bot.simulation.ahead().total_seconds() if bot.simulation else 0,
        faults=sorted(bot.simulation.faults()) if bot.simulation else [],
        phones={number: _phone(bot, number) for number in numbers if number},
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _phone(bot: Bot, number: str) -> dict[str, Any]:
    shown = {message.ref: message for message in Phone(bot, number, current_app).screen()}
    now = bot.clock()
    with bot.store.reading() as connection:
        texts = phone_debug.texts(connection, number, now)
        codes = phone_debug.codes(connection, number)
        found = phone_debug.conversation(connection, number)
        orders = phone_debug.confirmations(connection, number)
        order = phone_debug.pending(connection, number, now)
        changes = phone_debug.changes(connection, number)
        changing = phone_debug.changing(connection, number, now)
    states: list[StrEnum] = [state_of(found.state if found else "", found.ends_at if found else None, now)]
    if number in {it.number for it in mobiles() if it.is_staff}:
        states.append(CONFIRMING[Command(order)] if order else StaffState.AT_REST)
    states += [ChangeState(state) for state in changing]
    return {
        "states": [state.name for state in states],
        "texts": [_bubble(bot, row, shown.get(row.id)) for row in texts],
        "rows": {
            "conversation": _plain([found] if found else []),
            "codes": _plain(codes),
            "confirmations": _plain(orders),
            "mobile_changes": _plain(changes),
            "outbox": _plain(texts[::-1]),
        },
    }


def _bubble(bot: Bot, row: Row[Any], message: Message | None) -> dict[str, Any]:
    """A text to a phone. What has not reached it yet, or never will, is shown by its tick alone."""
    at = message.arrived_at if message else row.created_at
    bubble = {"id": row.id, "at": at.isoformat(), "tick": TICKS.get(DeliveryStatus(row.status), "accepted")}
    if message is None:
        return bubble
    code = code_in(message.text, bot.settings.code_length)
    return bubble | {"text": message.text, "code": code, "size": size(message.text)._asdict()}


SHOWN = (
    "id", "phone", "command", "phrase", "state", "status", "attempts", "error", "language", "version", "tries_left",
    "requested_by", "close_reason", "created_at", "proposed_at", "approved_at", "due_at", "accepted_at", "ends_at",
    "ended_at", "expires_at", "closed_at", "opted_out_at", "hints_this_hour", "unparsed_replies", "gateway",
)  # fmt: skip


def _plain(rows: Sequence[Row[Any]]) -> dict[str, list[Any]]:
    """Rows as they may be shown: nobody's number but its last four digits, nothing secret."""
    names = [name for name in SHOWN if rows and name in rows[0]._fields]
    return {"names": names, "rows": [[_cell(name, getattr(row, name)) for name in names] for row in rows]}


def _cell(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(TEHRAN).strftime("%H:%M:%S")
    if name == "phone":
        return f"…{value[-4:]}"
    if name == "status":
        return DeliveryStatus(value).name.lower()
    return "" if value is None else str(value)


def _asked() -> dict[str, Any]:
    # JSON, which no page of another site may post here.
    asked = request.get_json()
    return asked if isinstance(asked, dict) else abort(400)


def _text(bot: Bot, lock: Lock) -> Response:
    asked = _asked()
    number, words = bot.phone_numbers.mobile(str(asked.get("from", ""))), asked.get("text")
    if number is None or not isinstance(words, str) or len(words) > LONGEST:
        abort(400)
    with lock:  # so that the texts which it causes can be told from others'
        at, after, decided = bot.clock(), _newest(bot), _decided(bot, number, words)
        phone = Phone(bot, number, current_app)
        status, name = phone.text(words)
        upto = _newest(bot)
    with bot.store.reading() as connection:
        event = phone_debug.event_of(connection, Simulated.name, name)
    return jsonify(
        id=name,
        at=at.isoformat(),
        heard=status == 200,
        event=event.upper() if event else None,
        rule=decided.rule.name,
        by=list(decided.words),
        size=size(words)._asdict(),
        call=phone.called,
        after=after,
        upto=upto,
    )


def _decided(bot: Bot, number: str, words: str) -> Explanation:
    """By which rule, and which of its words, the text is about to be understood."""
    now, staff = bot.clock(), number in {it.number for it in mobiles() if it.is_staff}
    with bot.store.reading() as connection:
        live = [it for it in phone_debug.codes(connection, number) if it.closed_at is None and it.expires_at > now]
        out = bool(live) or phone_debug.pending(connection, number, now) is not None
    return explain(words, bot.settings.code_length, number, code_is_out=out, staff=staff)


def _newest(bot: Bot) -> int:
    with bot.store.reading() as connection:
        return phone_debug.newest_text(connection)


def _later(bot: Bot) -> Response:
    assert bot.simulation is not None
    _asked()
    bot.simulation.forward(JUMP)
    for job in bot.jobs.all():  # as they would have run meanwhile
        bot.jobs.safely(job)
    return jsonify(at=bot.clock().isoformat(), later=JUMP.total_seconds())


def _set_fault(bot: Bot) -> Response:
    assert bot.simulation is not None
    asked = _asked()
    name, on = asked.get("name"), asked.get("on")
    if name not in list(CarrierFault) or not isinstance(on, bool):
        abort(400)
    bot.simulation.fault(CarrierFault(name), on=on)
    return jsonify(faults=sorted(bot.simulation.faults()))


def _transcript(bot: Bot) -> Response:
    try:
        said = [_said(it) for it in _asked()["said"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        abort(400)
    names = {it.number: it.nick for it in mobiles()}
    written = Writer(names, bot.settings.code_length).write(said, _sent(bot, said))
    return Response(written, content_type="text/plain; charset=utf-8")


def _said(it: dict[str, Any]) -> Said:
    at = datetime.fromisoformat(it["at"])
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    after, upto, later = int(it.get("after", 0)), int(it.get("upto", 0)), timedelta(seconds=float(it.get("later", 0)))
    if not 0 <= after <= upto <= LARGEST_ID:
        raise ValueError("ids that no text has")
    return Said(at, str(it.get("from", "")), str(it.get("text", "")), later, after, upto)


def _sent(bot: Bot, said: list[Said]) -> list[Sent]:
    after = min((it.after for it in said if it.upto), default=0)
    # Codes that were sent once more came later than what they follow; others' texts are left out by the writer.
    upto = _newest(bot) if any(it.upto for it in said) else 0
    with bot.store.reading() as connection:
        rows = phone_debug.texts_between(connection, after, upto, bot.clock())
    numbers = {row.phone for row in rows}
    gateway = bot.gateways[Simulated.name]
    assert isinstance(gateway, Simulated)
    words = {message.ref: message.text for number in numbers for message in gateway.carried(number)}
    length = bot.settings.code_length
    return [
        Sent(row.id, row.phone, row.phrase, row.language, code_in(words.get(row.id, ""), length), row.resend_of)
        for row in rows
    ]
