"""IPPanel Edge, as its documentation on GitHub has it."""

from typing import Any, ClassVar

from tests.providers.standin import Asked, Page, ProviderStandIn, answer, e164

KEY, LINE = "the-key-of-ippanel=", "+983000505"


class IPPanelStandIn(ProviderStandIn):
    """Texts that came in are listed from a cursor, the newest first, in pages; none is ever gone."""

    SETTINGS: ClassVar = {"key": KEY, "line": LINE}

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        if asked.headers.get("authorization") != KEY:
            return said(None, "400-1", 401)
        match asked.path:
            case "/v1/api/send":
                return self._send(asked.json)
            case "/v1/api/report/recipients":
                name = asked.query["bulk_id"]
                status = self.states.get(name)
                row = {"recipient": "+98…", "message": "…", "message_status": status}
                return said([] if status is None else [row])
            case "/v1/api/report/messages-inbox":
                return self._inbox(asked.json)
        return Page("<html>404</html>", 404)

    def _send(self, call: Any) -> Page:
        (to,) = call["params"]["recipients"]
        if not (to.startswith("+98") and call["from_number"] == LINE and call["sending_type"] == "webservice"):
            return said(None, "400-2", 422)
        return said({"message_outbox_ids": [int(self.take(to, call["message"]))]})

    def _inbox(self, call: Any) -> Page:
        since = [it for it in reversed(self.waiting) if int(it.id) > call["filters"]["from_id"]]
        first = (call["page"] - 1) * call["per_page"]
        rows = [
            {"messages_inbox_id": int(it.id), "from": e164(it.sender), "number": LINE, "message": it.text,
             "type": "normal", "time": int(it.at), "seen": "0"} for it in since[first : first + call["per_page"]]
        ]  # fmt: skip
        return said(rows)


def said(data: Any, code: str = "200-1", http: int = 200) -> Page:
    """An answer as IPPanel words it."""
    return answer({"data": data, "meta": {"status": http == 200, "message": "…", "message_code": code}}, http)
