"""`flask gateways check NAME [--send MOBILE]`: what a gateway would be asked, what it answers, what is understood."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import click
from flask.cli import AppGroup

from bot import settings
from bot.cli.common import chosen, fail, opened, say_database, writing_keys
from bot.credentials.keyring import Keyring
from bot.gateways.http.answer import decoded, taken_as
from bot.gateways.http.gateway import HttpGateway, uid
from bot.gateways.http.request import FORM, Composed
from bot.gateways.registry import GatewayParts, make_gateway
from bot.platform.clock import system_clock
from bot.platform.http_client import HttpClient
from bot.platform.phone_numbers import PhoneNumbers
from bot.platform.random_source import SystemRandomSource
from bot.ports import Gateway, Outbound, SendFailed
from bot.settings import Settings
from store.database.engine import Store
from store.tables import MessageKind

SAMPLE = "+989120000000"
WORDS = "آزمایش رمز: این پیامک برای بررسی خط است."
MINUTES = 600
SHOWN = 2000

gateways = AppGroup("gateways", help="The providers that texts go by and come in by.")


@gateways.command("check")
@click.argument("name")
@click.option("--send", "mobile", help="Send a text to this number; without it nothing is sent.")
def check(name: str, mobile: str | None) -> None:
    """Show what a gateway of GATEWAYS is asked, with its secrets masked, what it answers, and what is understood."""
    found = chosen(settings.read)
    phone_numbers = PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes)
    if name not in found.gateways:
        fail(f"{name}: is none of GATEWAYS, which are {', '.join(found.gateways) or 'not set'}")
    to = phone_numbers.mobile(mobile) if mobile else SAMPLE
    if to is None:
        fail(f"--send: not a mobile number of {', '.join(found.allowed_countries)}")
    # Only the simulated carrier keeps anything in the database: what is sent by it, sealed.
    store, keyring = _phones() if mobile and name == "simulated" else (Store("sqlite://"), _keys(found))
    gateway = make_gateway(name, GatewayParts(found, store, keyring, system_clock, SystemRandomSource(), HttpClient()))
    text = Outbound(int(system_clock().timestamp()) % 10**9, MessageKind.REPLY, to, WORDS, MINUTES)
    understood = _checked(gateway, text, send=mobile is not None)
    store.close()
    if not understood:
        raise SystemExit(1)


def _phones() -> tuple[Store, Keyring]:
    """Where the simulated carrier's phones lie, and the keys that open what is on them; or an end that says why not."""
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.writing() as connection:
        keyring = writing_keys(found, connection)
    if keyring is None:
        fail("SECRET_KEYS: missing; nobody could open what was sent")
    say_database(found)
    return store, keyring


def _checked(gateway: Gateway, text: Outbound, *, send: bool) -> bool:
    if isinstance(gateway, HttpGateway):
        return _checked_over_http(gateway, text, send=send)
    click.echo(f"{gateway.name}: to {text.to}\n  {text.text}")
    return not send or _tell(lambda: gateway.send(text))


def _checked_over_http(gateway: HttpGateway, text: Outbound, *, send: bool) -> bool:
    provider = gateway.provider
    for line in (*(f"{name}: missing" for name in provider.missing), *provider.warnings):
        click.echo(line, err=True)
    _show_ways_in(gateway)
    click.echo(f"\nRequest\n{_shown(gateway.request(text, provider.shown())[0], provider.shown())}")
    if not send:
        click.echo("\nNothing was sent. With --send MOBILE it is.")
        return not provider.missing
    if provider.missing:
        return False
    request, id_path = gateway.request(text, provider.values)
    try:
        reply = gateway.http.request(request.method, request.url, headers=request.headers, body=request.body)
    except SendFailed as failed:
        click.echo(f"\nNo answer: {_why(failed)}")
        return False
    click.echo(
        f"\nAnswer\n  {reply.status} {reply.content_type}\n  {_masked(reply.body, reply.content_type, provider.values)}"
    )
    return _tell(lambda: taken_as(gateway.profile, reply, uid(text), id_path))


def _tell(take: Any) -> bool:
    try:
        click.echo(f"\nUnderstood: taken, and called {take()}")
    except SendFailed as failed:
        click.echo(f"\nUnderstood: not taken, {_why(failed)}")
        return False
    return True


def _why(failed: SendFailed) -> str:
    code = f" ({failed.code})" if failed.code else ""
    return f"{failed.reason}{code}; " + (
        "no gateway would do better" if failed.permanent else "it would be tried again"
    )


def _show_ways_in(gateway: HttpGateway) -> None:
    profile, secret = gateway.profile, "<inbound_secret>"
    if profile.inbound:
        click.echo(f"Texts     {'|'.join(profile.inbound.methods)} {gateway.address('sms', secret)}")
    if profile.receipts:
        click.echo(f"Receipts  {'|'.join(profile.receipts.methods)} {gateway.address('receipts', secret)}")
    if profile.secret.startswith("header:"):
        click.echo(f"          with {secret} in the header {profile.secret.removeprefix('header:')}")
    if profile.poll.inbound:
        click.echo(f"Texts     asked for every {profile.poll.inbound.every} seconds")
    if profile.poll.receipts:
        click.echo(f"Receipts  asked for until {profile.poll.receipts.until_hours} hours after sending")


def _shown(request: Composed, values: Mapping[str, str]) -> str:
    headers = {name: "Basic …" if value.startswith("Basic ") else value for name, value in request.headers.items()}
    lines = [f"{request.method} {_readable(request.url, values)}", *(f"{name}: {it}" for name, it in headers.items())]
    body = (request.body or b"").decode()
    if request.headers.get("Content-Type") == FORM:
        lines += [f"{name} = {value}" for name, value in parse_qsl(body, keep_blank_values=True)]
    elif body:
        lines.append(body)
    return "\n".join(f"  {line}" for line in lines)


def _readable(written: str, values: Mapping[str, str]) -> str:
    # The names that stand for secrets were escaped for their place, as the secrets are.
    for name in values:
        written = written.replace(f"%3C{name}%3E", f"<{name}>")
    return written


def _masked(body: bytes, content_type: str, values: Mapping[str, str]) -> str:
    said = decoded(body, content_type)[:SHOWN]
    for name, value in sorted(values.items(), key=lambda pair: -len(pair[1])):
        said = said.replace(value, f"<{name}>") if value else said
    return "".join(character if character.isprintable() else " " for character in said)


def _keys(found: Settings) -> Keyring:
    text = found.secret_keys
    return Keyring.of(settings.read_keys(text)) if text else Keyring.of({"none": bytes(32)})
