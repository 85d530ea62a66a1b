"""Every alarm of `flask deploy prometheus` is seen firing: on made-up series, and where a running bot has its cause.

The rules are Prometheus's to evaluate: promtool does. What a bot tells is scraped once a minute of its stopped clock.
"""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.build import Bot, build
from bot.ports import Inbound, Reason, Receipt, SendFailed
from store import webhook_events
from store.database.engine import Store
from store.service import seasons
from store.tables import AccountRow, DeliveryStatus, OutboundMessageRow, StaffRow, table
from store.webhook_events import NewEvent
from tests.bot.cli.test_deploy import printed
from tests.conftest import MakeBot
from tests.support.hosts.prometheus import BY_DAY, Scrapes, firing, gap, promtool
from tests.support.parts import KEYS, Carrier, StoppedClock, settings
from tests.support.people import OMID, TEHRAN, ZAHRA, employ, settle, settled
from webhooks import create_app
from webhooks.metrics import exposition

pytestmark = pytest.mark.process
MESSAGE, ACCOUNT, STAFF = table(OutboundMessageRow), table(AccountRow), table(StaffRow)
NUMBERS = count()


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """What is told does not depend on the database; tests/webhooks/ tries both."""
    return str(request.param)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    promtool()
    path = tmp_path_factory.mktemp("rules") / "ramz.rules.yml"
    path.write_text(printed("prometheus").stdout, "utf-8")
    return path


def alarms_of(rules: str) -> set[str]:
    return set(re.findall(r"^      - alert: (\w+)$", rules, re.MULTILINE))


# An alarm; series that have it fire, each by its values minute by minute; and the same when all is well.
AT = 'job="ramz",instance="a"'
MADE_UP: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "RamzGone": ({f"up{{{AT}}}": "0x9"}, {f"up{{{AT}}}": "1x9"}),
    "RamzDatabaseOutOfReach": ({f"ramz_up{{{AT}}}": "0x9"}, {f"ramz_up{{{AT}}}": "1x9"}),
    "RamzShareUnderTarget": (
        {f'ramz_in_time_share{{{AT},step="code"}}': "0.94x9", f'ramz_measured_texts{{{AT},step="code"}}': "20x9"},
        {f'ramz_in_time_share{{{AT},step="code"}}': "0.94x9", f'ramz_measured_texts{{{AT},step="code"}}': "19x9"},
    ),
    "RamzNoTextHeard": (
        {f'ramz_heard_total{{{AT},gateway="kannel",event="asked"}}': "7x99", f"ramz_season_open{{{AT}}}": "1x99"},
        {f'ramz_heard_total{{{AT},gateway="kannel",event="asked"}}': "7x99", f"ramz_season_open{{{AT}}}": "0x99"},
    ),
    "RamzTextsDontLeave": (
        {f"ramz_oldest_unsent_seconds{{{AT}}}": "0+60x9"},
        {f"ramz_oldest_unsent_seconds{{{AT}}}": "59x9"},
    ),
    "RamzGatewayDown": (
        {f'ramz_gateway_down{{{AT},gateway="kannel"}}': "1x9"},
        {f'ramz_gateway_down{{{AT},gateway="kannel"}}': "0x9"},
    ),
    "RamzFlood": ({f'ramz_flood{{{AT},guard="rate"}}': "1x9"}, {f'ramz_flood{{{AT},guard="rate"}}': "0x9"}),
    "RamzAccountsLocked": (
        {f'ramz_alarm_total{{{AT},alarm="account_locked"}}': "0 1 2 3x9"},
        {f'ramz_alarm_total{{{AT},alarm="account_locked"}}': "0 1x9"},
    ),
    "RamzStaffLocked": (
        {f'ramz_alarm_total{{{AT},alarm="staff_limit"}}': "0 1x9"},
        {f'ramz_alarm_total{{{AT},alarm="staff_limit"}}': "4x9"},
    ),
    "RamzAuditNotSealed": (
        {f"ramz_oldest_unsealed_row_seconds{{{AT}}}": "0+60x9"},
        {f"ramz_oldest_unsealed_row_seconds{{{AT}}}": "10x9"},
    ),
    "RamzDiskFull": ({f"ramz_disk_free_share{{{AT}}}": "0.09x9"}, {f"ramz_disk_free_share{{{AT}}}": "0.11x9"}),
    "RamzClockWrong": (
        {f"ramz_time_seconds{{{AT}}}": "6+60x9"},
        {f"ramz_time_seconds{{{AT}}}": "4+60x9"},
    ),
    "RamzCallsRefused": (
        {f'ramz_refused_total{{{AT},door="twilio",reason="forbidden"}}': "0+5x9"},
        {f'ramz_refused_total{{{AT},door="console",reason="forbidden"}}': "0+5x9"},
    ),
    "RamzJobIll": (
        {
            f'ramz_job_age_seconds{{{AT},exported_job="audit"}}': "0+60x9",
            f'ramz_job_ill_after_seconds{{{AT},exported_job="audit"}}': "70x9",
        },
        {
            f'ramz_job_age_seconds{{{AT},exported_job="audit"}}': "0+60x9",
            f'ramz_job_ill_after_seconds{{{AT},exported_job="forget"}}': "70x9",
        },
    ),
    "RamzEventsNotTaken": (
        {f"ramz_oldest_untold_event_seconds{{{AT}}}": "0+60x9"},
        {f"ramz_oldest_untold_event_seconds{{{AT}}}": "290x9"},
    ),
    "RamzKeysDiffer": (
        {
            f"up{{{AT}}}": "1x20",
            'up{job="ramz",instance="b"}': "1x20",
            f'ramz_key{{{AT},id="k1",newest="yes"}}': "1x20",
        },
        {f"up{{{AT}}}": "1x20", f'ramz_key{{{AT},id="k1",newest="yes"}}': "1x20"},
    ),
}


def begins_of(alarm: str) -> int:
    """The minute of the day at which its series begin."""
    return BY_DAY if alarm == "RamzNoTextHeard" else 0


@pytest.mark.parametrize("alarm", MADE_UP)
def test_it_fires_on_made_up_series_and_not_on_good_ones(alarm: str, rules: Path) -> None:
    begins = begins_of(alarm)
    ill, well = (
        [{"series": name, "values": " ".join([*gap(begins), it])} for name, it in each.items()]
        for each in MADE_UP[alarm]
    )
    minute = begins + max(int(values.rpartition("x")[2]) for values in MADE_UP[alarm][0].values()) - 1
    assert firing(rules, ill, minute, alarm)
    assert not firing(rules, well, minute, alarm)


def test_prometheus_takes_the_rules_and_its_configuration(rules: Path) -> None:
    config = rules.parent / "prometheus.yml"
    config.write_text(printed("prometheus", "--config", "--host", "10.0.0.1:8000", "--host", "10.0.0.2:8000").stdout)
    for words in (["check", "rules", str(rules)], ["check", "config", str(config)]):
        ran = subprocess.run([promtool(), *words], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert config.read_text("utf-8").count(":8000") == 2


def test_the_dashboard_asks_for_what_is_told(bot: Bot, tmp_path: Path) -> None:
    dashboard = json.loads(printed("grafana").stdout)
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    recorded = {"groups": [{"name": "a", "rules": [{"record": f"r{n}", "expr": it} for n, it in enumerate(asked)]}]}
    (tmp_path / "r.yml").write_text(json.dumps(recorded), "utf-8")
    ran = subprocess.run([promtool(), "check", "rules", str(tmp_path / "r.yml")], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout
    told = set(re.findall(r"^# TYPE (\w+)", exposition(bot)().decode(), re.MULTILINE))
    for expression in [*asked, printed("prometheus").stdout]:
        names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bramz_\w+", expression)}
        assert names - {"ramz_restored"} <= told, names - told


class World:
    """A bot that tells its figures once a minute, and what goes wrong with it."""

    def __init__(self, bot: Bot, clock: StoppedClock, carrier: Carrier, empty: Path) -> None:
        self.bot, self.clock, self.carrier, self.empty = bot, clock, carrier, empty
        self.scrapes, self.told = Scrapes(), exposition(bot)
        self.skew = timedelta()
        self.free, self.beats = 0.5, True
        self.client = create_app(bot).test_client()
        self.more: dict[str, Callable[[], bytes]] = {}

    def pass_by(self, minutes: int, each: Callable[[], object] = lambda: None) -> None:
        for _ in range(minutes):
            self.clock.forward(minutes=1)
            each()
            self.bot.counting.flush()
            if self.beats:
                for job in self.bot.jobs.all():
                    if job.name not in {"events", "audit", "outbox"}:
                        self.bot.jobs.safely(job)
                self.bot.jobs.beat()
            others = {host: told().decode() for host, told in self.more.items()}
            self.scrapes.take(self.clock() - self.skew, a=self.told().decode(), **others)

    def text(self, words: str, sender: str = ZAHRA["mobile"]) -> None:
        self.bot.hear(Inbound("simulated", f"R{next(NUMBERS)}", sender, words))

    def recovers_late(self) -> None:
        """25 people ask, and their codes arrive after a minute and a half."""
        people = [dict(ZAHRA, national_id=id_, username=id_, mobile=f"+9891200000{n:02d}") for n, id_ in some_ids(25)]
        settle(self.bot.store, *people)
        for person in people:
            self.text(f"RESET {person['national_id']}", person["mobile"])
        self.bot.courier.deliver_due()
        self.clock.forward(seconds=90)
        with self.bot.store.reading() as connection:
            taken = connection.execute(MESSAGE.select()).all()
        for row in taken:
            self.bot.note(Receipt("simulated", row.provider_id, DeliveryStatus.DELIVERED, ref=row.id))
        self.pass_by(7)

    def hears_nothing(self) -> None:
        today = self.clock().date()
        with self.bot.store.writing() as connection:
            seasons.put(connection, today, today + timedelta(days=30))
        self.text("RESET 0012345679")
        self.pass_by(70)

    def leaves_texts_lying(self) -> None:
        self.text("RESET 0012345679")
        self.pass_by(3)

    def loses_its_gateway(self) -> None:
        self.carrier.failures = [SendFailed(Reason.TIMEOUT, permanent=False)] * 60
        self.text("RESET 0012345679")

        def try_twice() -> None:
            self.bot.courier.deliver_due()
            self.clock.forward(seconds=31)
            self.bot.courier.deliver_due()

        self.pass_by(4, try_twice)

    def is_flooded(self) -> None:
        row = {
            "kind": 0, "phone": OMID["mobile"], "language": "en", "phrase": "code", "parameters": {},
            "inbound_gateway": "simulated", "attempts": 1, "consecutive_failures": 0,
            "status": int(DeliveryStatus.SENT),
        }  # fmt: skip

        def many() -> None:
            now = self.clock()
            times = {"request_received_at": now, "created_at": now, "expires_at": now, "next_attempt_at": now}
            with self.bot.store.writing() as connection:
                connection.execute(MESSAGE.insert(), [row | times] * 3_001)

        self.pass_by(2, many)

    def has_its_codes_guessed(self) -> None:
        self.pass_by(1)
        for person in (ZAHRA, OMID, dict(ZAHRA, national_id="4409173529", mobile="+989162223344")):
            self.text(f"RESET {person['national_id']}", person["mobile"])
            with self.bot.store.writing() as connection:
                connection.execute(update(ACCOUNT).where(ACCOUNT.c.mobile == person["mobile"]).values(failures=99))
            self.text("999999", person["mobile"])
            self.pass_by(1)

    def has_its_staff_guessed(self) -> None:
        self.pass_by(1)
        employ(self.bot.store, TEHRAN)
        self.text(f"RESET {ZAHRA['national_id']}", TEHRAN["mobile"])
        with self.bot.store.writing() as connection:
            connection.execute(update(STAFF).values(failures=99))
        self.text("999999", TEHRAN["mobile"])
        self.pass_by(2)

    def seals_nothing(self) -> None:
        self.text("RESET 0012345679")
        self.pass_by(3)

    def has_a_full_disk(self) -> None:
        self.told = exposition(self.bot, lambda folder: 0.05)
        self.pass_by(3)

    def has_a_wrong_clock(self) -> None:
        self.skew = timedelta(seconds=-6)
        self.pass_by(3)

    def is_called_by_others(self) -> None:
        self.pass_by(6, lambda: [self.client.post("/webhooks/simulated/sms") for _ in range(6)])

    def runs_no_job(self) -> None:
        self.pass_by(1)
        self.beats = False
        self.pass_by(5)

    def tells_nobody(self) -> None:
        with self.bot.store.writing() as connection:
            webhook_events.queue(connection, NewEvent("e1", "password.changed", 1, self.clock()))
        self.pass_by(8)

    def has_a_neighbour_with_another_key(self) -> None:
        other = build(
            settings(SECRET_KEYS=KEYS.replace("k1:", "k2:")),
            clock=self.clock,
            gateways=[Carrier()],
            store=self.bot.store,
        )
        self.more["b"] = exposition(other)
        self.pass_by(18)

    def has_no_database(self) -> None:
        found = build(settings(), clock=self.clock, gateways=[Carrier()], store=Store(f"sqlite:///{self.empty}"))
        self.told, self.beats = exposition(found), False
        self.pass_by(2)
        found.store.close()

    def is_gone(self) -> None:
        for _ in range(3):
            self.scrapes.take(self.clock(), a=None)


def some_ids(number: int) -> list[tuple[int, str]]:
    def with_check_digit(nine: str) -> str:
        rest = sum(int(digit) * (10 - place) for place, digit in enumerate(nine)) % 11
        return f"{nine}{rest if rest < 2 else 11 - rest}"

    return [(n, with_check_digit(f"{123_000_000 + 7 * n}")) for n in range(number)]


CAUSES: dict[str, Callable[[World], None]] = {
    "RamzGone": World.is_gone,
    "RamzDatabaseOutOfReach": World.has_no_database,
    "RamzShareUnderTarget": World.recovers_late,
    "RamzNoTextHeard": World.hears_nothing,
    "RamzTextsDontLeave": World.leaves_texts_lying,
    "RamzGatewayDown": World.loses_its_gateway,
    "RamzFlood": World.is_flooded,
    "RamzAccountsLocked": World.has_its_codes_guessed,
    "RamzStaffLocked": World.has_its_staff_guessed,
    "RamzAuditNotSealed": World.seals_nothing,
    "RamzDiskFull": World.has_a_full_disk,
    "RamzClockWrong": World.has_a_wrong_clock,
    "RamzCallsRefused": World.is_called_by_others,
    "RamzJobIll": World.runs_no_job,
    "RamzEventsNotTaken": World.tells_nobody,
    "RamzKeysDiffer": World.has_a_neighbour_with_another_key,
}


@pytest.fixture
def world(make_bot: MakeBot, clock: StoppedClock, carrier: Carrier, tmp_path: Path) -> World:
    return World(settled(make_bot()), clock, carrier, tmp_path / "empty.db")


@pytest.mark.parametrize("alarm", CAUSES)
def test_it_fires_where_a_bot_has_its_cause(alarm: str, world: World, rules: Path) -> None:
    world.scrapes.begins = begins_of(alarm)
    CAUSES[alarm](world)
    assert firing(rules, world.scrapes.series(), world.scrapes.begins + world.scrapes.minutes - 1, alarm)


def test_none_fires_while_all_is_well(world: World, rules: Path) -> None:
    def recover() -> None:
        world.text(f"RESET {OMID['national_id']}", OMID["mobile"])
        world.bot.courier.deliver_due()
        code = re.findall(r"\d{6}", world.carrier.sent[-1].text)[0]
        world.text(code, OMID["mobile"])
        world.bot.courier.deliver_due()
        world.bot.audit_chain.seal_due()
        world.bot.jobs.safely(next(job for job in world.bot.jobs.all() if job.name == "outbox"))
        world.bot.jobs.safely(next(job for job in world.bot.jobs.all() if job.name == "events"))

    world.scrapes.begins = BY_DAY
    world.pass_by(3, recover)
    assert not firing(rules, world.scrapes.series(), BY_DAY + 2, *MADE_UP)


def test_every_alarm_has_both(rules: Path) -> None:
    assert alarms_of(rules.read_text("utf-8")) == MADE_UP.keys() == CAUSES.keys()
