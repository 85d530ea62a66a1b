"""Kavenegar, as https://kavenegar.com/rest.html has it."""

from typing import ClassVar

from tests.providers.standin import Asked, Page, ProviderStandIn, answer, e164

KEY = "6B5F4A2D-secret-of-kavenegar"


class KavenegarStandIn(ProviderStandIn):
    """Its key stands in the path; a localid that it knows is not sent again."""

    SETTINGS: ClassVar = {"key": KEY, "line": "10004346", "inbound_secret": "what Kavenegar's calls carry"}

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        if not asked.path.startswith(f"/v1/{KEY}/"):
            return _said(403, "کلید شناسائی معتبر نمی‌باشد")
        match asked.path.removeprefix(f"/v1/{KEY}/"):
            case "sms/send.json":
                return self._send(asked.form)
            case "verify/lookup.json":
                return self._lookup(asked.form)
            case "sms/status.json":
                ids = asked.query["messageid"].split(",")
                return _said(200, "تایید شد", [self._state(name) for name in ids])
            case "sms/receive.json":
                return self._receive(asked.query)
        return _said(404, "متدی با این نام پیدا نشده است")

    def _send(self, form: dict[str, str]) -> Page:
        if not form.get("receptor") or not form.get("message"):
            return _said(400, "پارامترها ناقص هستند")
        known = next((it for it in self.taken if it.uid and it.uid == form.get("localid")), None)
        name = known.id if known else self.take(form["receptor"], form["message"], form.get("localid", ""))
        return _said(200, "تایید شد", [self._entry(name, form["receptor"], form["message"])])

    def _lookup(self, form: dict[str, str]) -> Page:
        values = [form[name] for name in ("token", "token2", "token3") if name in form]
        if not values or any(character in value for value in values for character in " \n_"):
            return _said(431, "ساختار کد صحیح نمی‌باشد")
        name = self.take(form["receptor"], " ".join(values), template=form["template"])
        return _said(200, "تایید شد", [self._entry(name, form["receptor"], "…")])

    def _entry(self, name: str, receptor: str, text: str) -> dict[str, object]:
        status = int(self.states.get(name, "1"))
        known = {"sender": "10004346", "receptor": receptor, "date": 1761900000, "cost": 120}
        return {"messageid": int(name), "message": text, "status": status, "statustext": "در صف ارسال", **known}

    def _state(self, name: str) -> dict[str, object]:
        return {"messageid": int(name), "status": int(self.states.get(name, "100")), "statustext": "…"}

    def _receive(self, query: dict[str, str]) -> Page:
        if query.get("isread") != "0" or query.get("linenumber") != "10004346":
            return _said(400, "پارامترها ناقص هستند")
        told, self.waiting = self.waiting[:100], self.waiting[100:]
        entries = [
            {"messageid": int(it.id), "message": it.text, "sender": e164(it.sender).replace("+98", "0"),
             "receptor": "10004346", "date": int(it.at)} for it in told
        ]  # fmt: skip
        return _said(200, "تایید شد", entries)


def _said(status: int, message: str, entries: list[dict[str, object]] | None = None) -> Page:
    return answer({"return": {"status": status, "message": message}, "entries": entries}, status)


def refusal(status: int) -> Page:
    """An error as Kavenegar words it."""
    return _said(status, "خطا")


def item(status: int, messageid: int = 8_792_343) -> Page:
    """An accepted call, whose text is in this state."""
    return _said(200, "تایید شد", [{"messageid": messageid, "status": status}])
