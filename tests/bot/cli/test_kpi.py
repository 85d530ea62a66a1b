"""`flask kpi`: the period that is meant, what is printed, what is written, and what it answers to mistakes."""

import csv
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bot.platform.clock import day_around, days_of, read_day, system_clock, today_in_tehran
from bot.platform.csv_export import MARK, Cell, sheet
from bot.reports import kpi, kpi_report
from bot.reports.kpi import Now, Point
from store.database.engine import Store
from store.service import seasons
from store.tables import CloseReason, DeliveryStatus, MessageKind
from store.views.delivery_stats import Counts, Subject
from tests.support.made_texts import CODE, INBOUND, a_code, a_text, put, put_accounts
from tests.support.parts import KEYS, NOON
from wsgi import app

TODAY = today_in_tehran(NOON)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def typed(url: str, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["kpi", *words], env={"SECRET_KEYS": KEYS, "DATABASE_URL": url})


def some(store: Store, request_received_at: datetime = NOON) -> None:
    """Two codes that arrived, one of them late, one that failed and one without a receipt; a password."""
    put_accounts(store, ("فارس", None), ("=1+1", None))
    put(
        store,
        *(
            a_code(f"c{n}", at=request_received_at, close_reason=CloseReason.USED, closed_at=request_received_at)
            for n in range(2)
        ),
        into=CODE,
    )
    put(
        store,
        a_text(request_received_at=request_received_at, code_id="c0"),
        a_text(request_received_at=request_received_at, code_id="c1", ended=75, gateway="kannel"),
        a_text(DeliveryStatus.FAILED, request_received_at=request_received_at, error="unreachable", account_id=2),
        a_text(DeliveryStatus.ACCEPTED, request_received_at=request_received_at, sent=None),
        a_text(kind=int(MessageKind.PASSWORD), request_received_at=request_received_at),
    )
    put(
        store,
        {
            "gateway": "twilio",
            "provider_id": "S",
            "received_at": request_received_at,
            "event": "unanswered",
            "answered": False,
        },
        into=INBOUND,
    )


# Days


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-11-24", date(2026, 11, 24)),
        ("1405-09-03", date(2026, 11, 24)),
        ("1405/9/3", date(2026, 11, 24)),
        ("۱۴۰۵/۰۹/۰۳", date(2026, 11, 24)),
        (" ٢٠٢٦-١١-٢٤ ", date(2026, 11, 24)),
        ("1403-12-30", date(2025, 3, 20)),
        ("2028-02-29", date(2028, 2, 29)),
    ],
)
def test_a_day_is_read_in_both_calendars(written: str, day: date) -> None:
    assert read_day(written) == day


BAD_DAYS = [
    "", "soon", "2026", "2026-11", "2026-13-01", "2026-02-30", "1405-12-30", "1405-00-01", "24-11-2026", "1700-01-01",
    "9999-12-31", "0001-01-01", "2026-11-24T10:00", "2026-11-24\n", "20261124", "-1405-09-03",
]  # fmt: skip


@pytest.mark.parametrize("written", [day for day in BAD_DAYS if day.strip() == day])
def test_what_is_no_day_is_refused_with_the_reason(written: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_day(written)


def test_a_day_lasts_from_midnight_to_midnight_in_tehran() -> None:
    begin, end = day_around(NOON)
    assert (begin.isoformat(), end - begin) == ("2026-08-31T20:30:00+00:00", DAY)
    assert today_in_tehran(begin) == TODAY == today_in_tehran(end - timedelta(microseconds=1))
    assert days_of(TODAY, TODAY + DAY) == [TODAY, TODAY + DAY]


# Shares and percentiles


def a_point(**counts: int) -> Point:
    return Point(Counts({name.removeprefix("within_"): number for name, number in counts.items()}))


@pytest.mark.parametrize(
    ("share", "printed"),
    [(None, "-"), (1.0, "100.0 %"), (0.99999, "99.9 %"), (0.9499, "94.9 %"), (0.0, "0.0 %"), (0.29, "29.0 %")],
)
def test_a_share_is_never_rounded_up(share: float | None, printed: str) -> None:
    assert kpi_report.percent(share) == printed


@pytest.mark.parametrize(("percent", "seconds"), [(1, 1), (50, 1), (51, 2), (99, 2), (100, 60)])
def test_a_percentile_is_the_seconds_within_which_so_many_were_there(percent: int, seconds: int) -> None:
    assert a_point(within_1=50, within_2=49, within_60=1).percentile(percent) == seconds


def test_nothing_has_neither_share_nor_percentile() -> None:
    nothing = a_point()
    assert (nothing.share, nothing.percentile(50), nothing.mean, nothing.waterfall()) == (None, None, None, [])


# Sheets


@pytest.mark.parametrize("cell", ["=1+1", "+98912", "-1", "@x", "\tx", "\rx", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(cell: str) -> None:
    (row,) = csv.reader(StringIO(sheet([[cell, "plain", "a=b"]]).removeprefix(MARK), newline=""))
    assert row == [f"'{cell}", "plain", "a=b"]


def test_a_sheet_keeps_numbers_and_what_needs_quotes() -> None:
    written = sheet([["فارس", -1, 0.5, None], ['a "b", c', "", 3, "d\ne"]])
    assert written.startswith(MARK)
    assert list(csv.reader(StringIO(written[1:], newline=""))) == [
        ["فارس", "-1", "0.5", ""],
        ['a "b", c', "", "3", "d\ne"],
    ]


# What is printed


def printed(store: Store, now: datetime = NOON + HOUR) -> str:
    found = kpi.figures(store, TODAY, TODAY, now)
    return "\n".join(kpi_report.lines(found, Now(None, None, {"codes": now - timedelta(seconds=9)}, {}), now))


@pytest.mark.parametrize(
    "line",
    [
        r"From 2026-09-01 \(1405/06/10\) to 2026-09-01 \(1405/06/10\)\. Both control points: under 1 minute\.",
        r"within 60 s +33\.3 %: 1 of 3",
        r"missed +1 late, 1 failed, 0 on the way for over a minute",
        r"no receipt +1, in neither; if all were missed: 25\.0 %",
        r"delivered +50 % within 5 s, 95 % within 75 s, 99 % within 75 s",
        r"steps in time +decided \+0\.0 s, accepted \+1\.0 s, sent \+1\.0 s, delivered \+3\.0 s",
        r"within 60 s +100\.0 %: 1 of 1",
        r" +4 +33\.3 % +75 s +1 +100\.0 % +5 s +2026-09-01 1405/06/10",
        r" +3 +50\.0 % +75 s +1 +100\.0 % +5 s +فارس",
        r" +1 +0\.0 % +- +0 +- +- +=1\+1",
        r" +1 +0\.0 % +75 s +0 +- +- +kannel",
        r"Codes: 2 sent; 2 used",
        r"Texts answered with silence: 1",
        r" +1  unreachable \(twilio\)",
        r"No text waits to be sent\.",
        r"Jobs last ran: codes 9 s ago",
    ],
)
def test_all_figures_are_printed(store: Store, line: str) -> None:
    some(store)
    assert re.search(f"^ *{line}$", printed(store), re.MULTILINE), printed(store)


def test_an_empty_time_is_said_to_be_empty(database_url: str) -> None:
    result = typed(database_url)
    assert result.exit_code == 0
    assert "No text was sent" in result.output
    assert len(result.output.splitlines()) == 2


def test_the_age_of_the_oldest_unsent_text_is_printed(store: Store) -> None:
    put_accounts(store, (None, None))
    put(store, a_text(DeliveryStatus.QUEUED, accepted=None, sent=None, gateway=None))
    found = kpi.now_of(store)
    assert found.oldest_unsent == NOON
    text = "\n".join(kpi_report.lines(kpi.figures(store, TODAY, TODAY, NOON + HOUR), found, NOON + HOUR))
    assert "The oldest unsent text waits for 3600 s." in text
    assert "No job has run yet." in text


# Which period


@pytest.fixture
def now() -> datetime:
    return system_clock()


def period(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", result.output.splitlines()[0])


def set_season(url: str, opens: date, closes: date) -> None:
    store = Store(url)
    with store.writing() as connection:
        seasons.put(connection, opens, closes)
    store.close()


def test_the_period_is_the_last_thirty_days_where_no_season_is_set(sqlite_url: str, now: datetime) -> None:
    today = today_in_tehran(now)
    assert period(typed(sqlite_url)) == [str(today - 29 * DAY), str(today)]
    assert period(typed(sqlite_url, "--to", "2026-09-30")) == ["2026-09-01", "2026-09-30"]
    assert period(typed(sqlite_url, "--from", str(today - 2 * DAY))) == [str(today - 2 * DAY), str(today)]


def test_the_period_is_the_season_where_one_is_set(sqlite_url: str) -> None:
    set_season(sqlite_url, date(2026, 8, 14), date(2027, 1, 30))
    assert period(typed(sqlite_url)) == ["2026-08-14", "2027-01-30"]
    assert period(typed(sqlite_url, "--from", "1405-06-10")) == ["2026-09-01", "2027-01-30"]
    assert period(typed(sqlite_url, "--to", "2026-09-01")) == ["2026-08-14", "2026-09-01"]
    assert period(typed(sqlite_url, "--to", "2026-07-30")) == ["2026-07-01", "2026-07-30"]


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("written", BAD_DAYS[1:])
def test_a_bad_day_is_said_in_a_line(sqlite_url: str, option: str, written: str) -> None:
    result = typed(sqlite_url, f"{option}={written}")
    if written.strip() in ("2026-11-24",):
        assert result.exit_code in (0, 2)
        return
    assert (result.exit_code, result.output.startswith(f"{option}: ")) == (2, True)
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "2026-09-02", "--to", "2026-09-01"], "is before"),
        (["--from", "1305-01-01", "--to", "2026-09-01"], "longer than"),
    ],
)
def test_a_period_that_cannot_be_is_refused(sqlite_url: str, words: list[str], said: str) -> None:
    result = typed(sqlite_url, *words)
    assert (result.exit_code, said in result.output) == (2, True)


# The CSV


def read(file: Path) -> list[dict[str, str]]:
    written = file.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(StringIO(written.decode("utf-8-sig"), newline="")))


@pytest.fixture
def written(store: Store, database_url: str, tmp_path: Path) -> list[dict[str, str]]:
    some(store)
    day = f"{TODAY}"
    result = typed(database_url, "--from", day, "--to", day, "--csv", str(tmp_path / "k.csv"))
    assert (result.exit_code, f"Written to {tmp_path / 'k.csv'}." in result.output) == (0, True)
    return read(tmp_path / "k.csv")


def rows(written: list[dict[str, str]], **wanted: str) -> Iterator[dict[str, str]]:
    return (row for row in written if wanted.items() <= row.items())


def test_the_csv_has_the_same_figures_in_both_calendars(written: list[dict[str, str]]) -> None:
    (day,) = rows(written, control_point="code", part="day")
    assert (day["gregorian"], day["jalali"]) == ("2026-09-01", "1405/06/10")
    (whole,) = rows(written, control_point="code", part="period")
    numbers = {"texts": "4", "in_time": "1", "late": "1", "failed": "1", "no_receipt": "1", "share_percent": "33.33"}
    assert numbers.items() <= whole.items()
    assert (whole["p50_seconds"], whole["p95_seconds"], whole["mean_seconds"]) == ("5", "75", "40.0")
    assert day == whole | {"part": "day", "gregorian": "2026-09-01", "jalali": "1405/06/10"}


def test_the_csv_has_every_part_and_no_formula(written: list[dict[str, str]]) -> None:
    assert [row["value"] for row in rows(written, control_point="code", part="province")] == ["'=1+1", "فارس"]
    assert [row["value"] for row in rows(written, control_point="code", part="gateway")] == ["kannel", "twilio"]
    assert [row["texts"] for row in rows(written, part="codes", value="used")] == ["2"]
    assert [row["texts"] for row in rows(written, part="errors of twilio", value="unreachable")] == ["1"]
    assert [row["texts"] for row in rows(written, part="texts heard", value="unanswered")] == ["1"]
    assert [row["value"] for row in rows(written, control_point="password", part="step, in_time")] == [
        "decided", "accepted", "sent", "delivered",
    ]  # fmt: skip


def test_every_row_has_as_many_cells_as_the_header(store: Store) -> None:
    some(store)
    found: list[tuple[Cell, ...]] = list(kpi_report.rows(kpi.figures(store, TODAY, TODAY, NOON + HOUR)))
    assert {len(row) for row in found} == {len(kpi_report.HEADER)}
    assert {row[0] for row in found[1:]} == {Subject.CODE.value, Subject.PASSWORD.value, ""}


def test_a_file_that_cannot_be_written_is_said_in_a_line(sqlite_url: str, tmp_path: Path) -> None:
    result = typed(sqlite_url, "--csv", str(tmp_path / "none" / "k.csv"))
    assert (result.exit_code, "--csv: " in result.output) == (1, True)
    assert isinstance(result.exception, SystemExit)


def test_the_figures_hold_nobody_s_particulars(store: Store) -> None:
    some(store)
    found: Any = [printed(store), sheet(kpi_report.rows(kpi.figures(store, TODAY, TODAY, NOON + HOUR)))]
    assert not re.search(r"98912|leader|\b0{9}\d", " ".join(found))
