"""Jasmin's HTTP API, as its documentation has it."""

from typing import ClassVar

from tests.providers.standin import Asked, Page, ProviderStandIn

USER, PASSWORD, LINE = "ramz", "a password for jasmin", "3000555"


class JasminStandIn(ProviderStandIn):
    """It answers in plain words."""

    SETTINGS: ClassVar = {
        "user": USER,
        "password": PASSWORD,
        "line": LINE,
        "inbound_secret": "what Jasmin's calls carry",
    }

    def respond(self, asked: Asked) -> Page:
        """By the path."""
        form = asked.form
        if asked.path != "/send":
            return Page("Not found", 404)
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            return error(403, f"Authentication failure for username:{form.get('username')}")
        if form.get("coding") != "8" or not form.get("dlr-url", "").startswith("http") or not form.get("hex-content"):
            return error(400, "Argument is missing")
        text = bytes.fromhex(form["hex-content"]).decode("utf-16-be")
        name = f"07033084-5cfd-4812-90a4-{int(self.take(form['to'], text)):012d}"
        return Page(f'Success "{name}"', content_type="text/plain")


def error(status: int, words: str) -> Page:
    """An error as Jasmin words it."""
    return Page(f'Error "{words}"', status, "text/plain")
