"""Magfa's HTTP API version 2, as condensed copies of its wiki have it."""

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from tests.providers.standin import Asked, Page, ProviderStandIn, answer, e164

TEHRAN = ZoneInfo("Asia/Tehran")
USER, DOMAIN, PASSWORD, LINE = "ramz", "hajj", "the service's password", "3000555"


class MagfaStandIn(ProviderStandIn):
    """A fetched text is gone. It sends a uid that it knows again, but tells whether it knows it."""

    SETTINGS: ClassVar = {"user": USER, "domain": DOMAIN, "password": PASSWORD, "line": LINE}

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        if asked.user != (f"{USER}/{DOMAIN}", PASSWORD):
            return answer({"status": 18, "messages": None}, 401)
        what, _, rest = asked.path.removeprefix("/api/http/sms/v2/").partition("/")
        match what:
            case "send":
                return self._send(asked.json)
            case "mid":
                known = next((it.id for it in self.taken if it.uid == rest), "-1")
                return answer({"status": 0, "mid": int(known)})
            case "statuses":
                return answer({"status": 0, "dlrs": [self._state(name) for name in rest.split(",")]})
            case "messages":
                return self._messages(int(rest))
        return Page("<html>404</html>", 404)

    def _send(self, call: Any) -> Page:
        if not isinstance(call, dict) or not all(
            len(call[name]) == 1 for name in ("senders", "recipients", "messages")
        ):
            return answer({"status": 106, "messages": []})
        (to,), (text,), (uid,) = call["recipients"], call["messages"], call["uids"]
        assert isinstance(uid, int)
        name = self.take(to, text, str(uid))
        message = {"status": 0, "id": int(name), "userId": uid, "parts": 1, "tariff": 100.0, "recipient": to}
        return answer({"status": 0, "messages": [message]})

    def _state(self, name: str) -> dict[str, object]:
        return {"mid": int(name), "status": int(self.states.get(name, "-1")), "date": "2026-09-01 12:31:00"}

    def _messages(self, most: int) -> Page:
        told, self.waiting = self.waiting[:most], self.waiting[most:]
        messages = [
            {"body": it.text, "senderNumber": e164(it.sender).removeprefix("+"), "recipientNumber": f"98{LINE}",
             "date": f"{datetime.fromtimestamp(it.at, TEHRAN):%Y-%m-%d %H:%M:%S}"} for it in told
        ]  # fmt: skip
        return answer({"status": 0, "messages": messages})


def item(status: int, name: object = 0) -> Page:
    """An accepted call, whose text was not."""
    return answer({"status": 0, "messages": [{"status": status, "id": name}]})


def envelope(status: int) -> Page:
    """A call that was refused as a whole."""
    return answer({"status": status, "messages": None})
