"""MeliPayamak's REST API, as its pages have it."""

from typing import ClassVar

from tests.providers.standin import Asked, Page, ProviderStandIn, answer

USER, KEY, LINE = "9121110000", "a key in the password's place", "50004000"


class MeliPayamakStandIn(ProviderStandIn):
    """Its errors come with HTTP 200."""

    SETTINGS: ClassVar = {"user": USER, "key": KEY, "line": LINE, "inbound_secret": "what MeliPayamak's calls carry"}

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        form = {name.lower(): value for name, value in asked.form.items()}
        if (form.get("username"), form.get("password")) != (USER, KEY):
            return said(0, "0")
        match asked.path:
            case "/api/SendSMS/SendSMS":
                return self._send(form)
            case "/api/SendSMS/GetDeliveries2":
                return said(1, self.states.get(form["recid"], "0"))
        return Page("<html>404</html>", 404)

    def _send(self, form: dict[str, str]) -> Page:
        if form["from"] != LINE:
            return said(5, "0")
        if not form["text"]:
            return said(17, "0")
        return said(1, self.take(form["to"], form["text"]))


def said(status: int, value: str) -> Page:
    """An answer as MeliPayamak words it."""
    return answer({"Value": value, "RetStatus": status, "StrRetStatus": "Ok" if status == 1 else "Error"})
