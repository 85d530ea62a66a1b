"""`flask retention show`: what is kept how long, why, and what the next run drops."""

from collections.abc import Iterator

import click
from flask.cli import AppGroup

from bot import settings
from bot.cli.common import chosen, opened
from bot.platform import clock
from store import expiry
from store.expiry import RetentionRule
from store.retention import Retention

retention = AppGroup("retention", help="What is kept how long.")


@retention.command("show")
def show() -> None:
    """Show what is kept how long and why, and how many rows the next run, within the hour, drops. Changes nothing."""
    found = chosen(settings.read_for_command)
    with opened(found).reading() as connection:
        due = expiry.due(connection, clock.system_clock(), found.retention)
    for rule, rows in due:
        click.echo("\n".join(_told(rule, found.retention, rows)))
    whole = sum(number for _, rows in due for number in rows.values())
    click.echo(f"The next run drops {whole} rows; one comes every hour while the service runs.")


def _told(rule: RetentionRule, chosen_spans: Retention, rows: dict[str, int]) -> Iterator[str]:
    yield f"{span_of(rule, chosen_spans)}: {rule.what}"
    yield f"  because   {rule.reason}"
    if rule.setting:
        yield f"  setting   {rule.setting}"
    goes = ", ".join(f"{number} of {table}" for table, number in rows.items())
    yield f"  next run  drops {goes}" if goes else f"  tables    {', '.join(rule.tables)}"
    yield ""


def span_of(rule: RetentionRule, chosen_spans: Retention) -> str:
    """How long a rule keeps its rows, in words."""
    if rule.span is None:
        return "not dropped by age"
    span = rule.span(chosen_spans)
    number, unit = (span.days, "day") if span.days else (span.seconds // 3600, "hour")
    return f"{number} {unit}{'s' if number > 1 else ''}"
