"""The figures on a terminal, and as the rows of a CSV."""

from collections.abc import Iterator
from datetime import datetime

from bot.platform.clock import jalali
from bot.platform.csv_export import Cell
from bot.reports.date_range import both
from bot.reports.kpi import PERCENTILES, POINTS, TARGET_SECONDS, Figures, Now, Point, Views, per_cent
from store.views.delivery_stats import IN_TIME, LATE_TEXTS, Subject

NAMES = {Subject.CODE: "(1) request to code delivered", Subject.PASSWORD: "(2) code back to new password delivered"}
UNKNOWN = "not known"
COUNTS = ("in_time", "late", "failed", "pending", "no_receipt", "open", "withdrawn")
HEADER = (
    *("control_point", "part", "value", "gregorian", "jalali", "texts", *COUNTS),
    *("share_percent", "share_percent_at_least", *(f"p{percent}_seconds" for percent in PERCENTILES), "mean_seconds"),
)


def percent(share: float | None) -> str:
    """A share as it is printed."""
    return "-" if share is None else f"{per_cent(share):.1f} %"


# On a terminal


def lines(found: Figures, standing: Now, now: datetime) -> Iterator[str]:
    """The figures as lines to be read."""
    yield f"From {both(found.first)} to {both(found.last)}. Both control points: under 1 minute."
    if found.is_empty:
        yield "No text was sent, and none went unanswered, in this time."
        return
    for point in POINTS:
        yield from ("", NAMES[point], *_whole(found.points[point].whole))
    yield from _parts(found)
    yield from _others(found)
    yield from ("", *_standing(standing, now))


def _whole(point: Point) -> Iterator[str]:
    known = point.in_time + point.missed
    yield f"  within {TARGET_SECONDS} s   {percent(point.share)}: {point.in_time} of {known}"
    yield f"  missed        {point.late} late, {point.failed} failed, {point.pending} on the way for over a minute"
    yield f"  no receipt    {point.no_receipt}, in neither; if all were missed: {percent(point.share_at_least)}"
    yield f"  left out      {point.open} under a minute old, {point.withdrawn} no longer wanted"
    if point.by_seconds:
        within = (f"{each} % within {point.percentile(each)} s" for each in PERCENTILES)
        yield f"  delivered     {', '.join(within)}"
    for title, when in (("in time", IN_TIME), ("late", LATE_TEXTS)):
        steps = point.waterfall(when)
        if steps:
            yield f"  steps {title:<8}" + ", ".join(f"{step} +{seconds:.1f} s" for step, seconds in steps)


def _parts(found: Figures) -> Iterator[str]:
    first, second = (found.points[point] for point in POINTS)
    days = [day for day in first.days if first.days[day].texts or second.days[day].texts]
    yield from _table("By day", [(f"{day} {jalali(day)}", first.days[day], second.days[day]) for day in days])
    yield from _table("By province", _named(first.provinces, second.provinces))
    yield from _table("By gateway", _named(first.gateways, second.gateways))


def _named(first: dict[str, Point], second: dict[str, Point]) -> list[tuple[str, Point, Point]]:
    names = sorted(first.keys() | second.keys())
    return [(name or UNKNOWN, first.get(name, Point()), second.get(name, Point())) for name in names]


def _table(title: str, rows: list[tuple[str, Point, Point]]) -> Iterator[str]:
    # The name comes last: Persian ones would push the columns about.
    head = f"{'texts':>9} {'in time':>8} {'95 % in':>8}"
    yield from ("", f"{'(1)':>27}   {'(2)':>27}", f"{head}   {head}   {title}")
    for name, first, second in rows:
        yield f"{_cells(first)}   {_cells(second)}   {name}"


def _cells(point: Point) -> str:
    seconds = point.percentile(95)
    return f"{point.texts:>9} {percent(point.share):>8} {'-' if seconds is None else f'{seconds} s':>8}"


def _others(found: Figures) -> Iterator[str]:
    fates = ", ".join(
        f"{number} {close_reason}" for close_reason, number in sorted(found.codes.items(), key=lambda it: -it[1])
    )
    yield from ("", f"Codes: {found.codes_sent} sent" + (f"; {fates}" if fates else ""))
    yield f"Accounts locked in this time, and still: {found.locked}"
    if found.unanswered is not None:
        yield f"Texts answered with silence: {found.unanswered}"
    if found.errors:
        yield from ("", "Not delivered, texts of any kind:")
    for (gateway, reason), number in sorted(found.errors.items(), key=lambda it: -it[1]):
        yield f"{number:>9}  {reason} ({gateway})"


def _standing(standing: Now, now: datetime) -> Iterator[str]:
    oldest = standing.oldest_unsent
    yield "No text waits to be sent." if oldest is None else f"The oldest unsent text waits for {_age(oldest, now)}."
    if standing.oldest_untold is not None:
        yield f"The oldest event that Fakher has not taken waits for {_age(standing.oldest_untold, now)}."
    for gateway, how in sorted(standing.gateways.items()):
        if how.opened_at is not None:
            yield f"Out of order for {_age(how.opened_at, now)}: {gateway}"
    beats = ", ".join(f"{job} {_age(at, now)} ago" for job, at in sorted(standing.heartbeats.items()))
    yield f"Jobs last ran: {beats}" if beats else "No job has run yet."


def _age(then: datetime, now: datetime) -> str:
    return f"{max(0, int((now - then).total_seconds()))} s"


# As a table


def rows(found: Figures) -> Iterator[tuple[Cell, ...]]:
    """The same figures as the rows of one table, the first of them its header. Words are English and plain."""
    yield HEADER
    for point in POINTS:
        yield from _rows_of(point, found.points[point], found)
    for close_reason, number in sorted(found.codes.items()):
        yield _only("codes", close_reason, number)
    for (gateway, reason), number in sorted(found.errors.items()):
        yield _only(f"errors of {gateway}", reason, number)
    yield _only("accounts", "locked", found.locked)
    if found.unanswered is not None:
        yield _only("texts heard", "unanswered", found.unanswered)


def _rows_of(point: Subject, views: Views, found: Figures) -> Iterator[tuple[Cell, ...]]:
    spans = (f"{found.first} to {found.last}", f"{jalali(found.first)} to {jalali(found.last)}")
    yield (point.value, "period", "", *spans, *_numbers(views.whole))
    for day, each in views.days.items():
        if each.texts:
            yield (point.value, "day", "", day.isoformat(), jalali(day), *_numbers(each))
    for part, named in (("province", views.provinces), ("gateway", views.gateways)):
        for name, each in sorted(named.items()):
            yield (point.value, part, name or UNKNOWN, "", "", *_numbers(each))
    for when in (IN_TIME, LATE_TEXTS):
        for step, seconds in views.whole.waterfall(when):
            yield (point.value, f"step, {when}", step, *[None] * (len(HEADER) - 4), round(seconds, 3))


def _numbers(point: Point) -> tuple[Cell, ...]:
    shares = (None if share is None else round(share * 100, 2) for share in (point.share, point.share_at_least))
    counts = (getattr(point, name) for name in COUNTS)
    mean = None if point.mean is None else round(point.mean, 3)
    return (point.texts, *counts, *shares, *(point.percentile(each) for each in PERCENTILES), mean)


def _only(part: str, value: str, number: int) -> tuple[Cell, ...]:
    return ("", part, value, "", "", number, *[None] * (len(HEADER) - 6))
