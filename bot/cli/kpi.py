"""`flask kpi`: both control points over a period. Its `report` is the web application's (webhooks/cli.py)."""

from datetime import date, datetime
from pathlib import Path

import click

from bot import settings
from bot.cli.common import chosen, fail, opened
from bot.platform import clock
from bot.platform.csv_export import sheet
from bot.reports import date_range, kpi, kpi_report
from bot.reports.kpi import Figures
from store.database.engine import Store


@click.group("kpi", invoke_without_command=True)
@click.option("--from", "first", metavar="DAY", help="First day.  [default: the season's, else 30 days ago]")
@click.option("--to", "last", metavar="DAY", help="Last day.  [default: the season's, else today]")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a CSV too.")
@click.pass_context
def kpi_command(context: click.Context, first: str | None, last: str | None, file: Path | None) -> None:
    """Show both control points over a period, by day, province and gateway, and what became of codes and texts.

    A DAY is Gregorian, such as 2026-11-24, or Jalali, such as 1405-09-03: the year tells.
    """
    if context.invoked_subcommand is not None:
        return
    store, now = opened(chosen(settings.read_for_command)), clock.system_clock()
    found = figures(store, first, last, now)
    click.echo("\n".join(kpi_report.lines(found, kpi.now_of(store), now)))
    if file is not None:
        try:
            file.write_text(sheet(kpi_report.rows(found)), "utf-8", newline="")
        except OSError as error:
            fail(f"--csv: {file}: {error.strerror}", 1)
        click.echo(f"\nWritten to {file}.")


def figures(store: Store, first: str | None, last: str | None, now: datetime) -> Figures:
    """The figures of the days that --from and --to name, as they were typed; or an end that says what is wrong."""
    begin, end = _period(store, _day("--from", first), _day("--to", last), clock.today_in_tehran(now))
    return kpi.figures(store, begin, end, now)


def _day(option: str, written: str | None) -> date | None:
    try:
        return clock.read_day(written) if written is not None else None
    except ValueError as error:
        fail(f"{option}: {written} {error}")


def _period(store: Store, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    try:
        return date_range.period(store, first, last, today)
    except date_range.BadPeriod as bad:
        fail(f"--{bad.end}: {bad}")
