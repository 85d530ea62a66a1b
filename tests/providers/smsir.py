"""SMS.ir, as a copy of its REST documentation has it."""

from typing import Any, ClassVar

from tests.providers.standin import Asked, Page, ProviderStandIn, answer, e164

KEY, LINE = "the key of SMS.ir", "30007732"


class SmsIrStandIn(ProviderStandIn):
    """A fetched text is gone; a receipt is asked for one text at a time."""

    SETTINGS: ClassVar = {"key": KEY, "line": LINE}

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        if asked.headers.get("x-api-key") != KEY:
            return said(10, None, 401)
        match asked.path.removeprefix("/v1/").split("/"):
            case ["send", "bulk"]:
                return self._send(asked.json)
            case ["send", "verify"]:
                call = asked.json
                values = " ".join(it["value"] for it in call["parameters"])
                name = self.take(call["mobile"], values, template=str(call["templateId"]))
                return said(1, {"messageId": int(name), "cost": 1.0})
            case ["send", name]:
                state = self.states.get(name)
                return said(1, {"messageId": int(name), "deliveryState": None if state is None else int(state)})
            case ["receive", "latest"]:
                return self._receive()
        return Page("<html>404</html>", 404)

    def _send(self, call: Any) -> Page:
        if call["lineNumber"] != int(LINE):
            return said(101, None, 400)
        if not call["messageText"]:
            return said(103, None, 400)
        name = self.take(call["mobiles"][0], call["messageText"])
        return said(1, {"packId": "2b99e7a0", "messageIds": [int(name)], "cost": 1.0})

    def _receive(self) -> Page:
        told, self.waiting = self.waiting[:100], self.waiting[100:]
        data = [
            {"receiveReturnId": int(it.id), "messageText": it.text, "number": int(LINE),
             "mobile": int(e164(it.sender).removeprefix("+")), "receivedDateTime": int(it.at)} for it in told
        ]  # fmt: skip
        return said(1, data)


def said(status: int, data: Any, http: int = 200) -> Page:
    """An answer as SMS.ir words it."""
    return answer({"status": status, "message": "موفق" if status == 1 else "خطا", "data": data}, http)


def accepted_as(*ids: int | None) -> Page:
    """An accepted call whose texts have these ids: 0 for a blocked number, null for a bad one."""
    return said(1, {"packId": "2b99e7a0", "messageIds": list(ids), "cost": 0.0})
