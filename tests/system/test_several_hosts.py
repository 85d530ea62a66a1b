"""Several hosts: a standby is promoted, a host dies, PgBouncer is restarted, each under fifty texts a second."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from store.database import migrate
from store.database.engine import BUSY_TIMEOUT, IDLE_TIMEOUT, STATEMENT_TIMEOUT, Store
from store.service import send_shares
from store.tables import CodeRow, DeliveryStatus, OutboundMessageRow, table
from tests.bot.cli.test_deploy import as_superuser, printed
from tests.providers.twilio_standin import TwilioStandIn
from tests.support.hosts.postgresql_servers import PgBouncer, Server, pgbouncer, primary_and_standby, url_of
from tests.support.hosts.steady_texts import SteadyTexts
from tests.support.parts import PATIENCE_SECONDS, eventually
from tests.system.test_service import Pilgrim, Service, some

pytestmark = pytest.mark.process
# Seconds, over which what was held up for a moment weighs little.
SPAN = 4

CODE, MESSAGE = table(CodeRow), table(OutboundMessageRow)
A_SECOND, SECONDS, HAPPENS_AFTER = 50, 8, 2.0
# The longest that a text may be refused.
SOON = 10.0
# A text that a host had in hand when it died is another's when its lease ends.
IN_HAND = 16.0


@contextmanager
def hosts(url: str, folder: Path, number: int = 2, **more: str) -> Iterator[list[Service]]:
    """So many services on one database, and one provider."""
    with TwilioStandIn() as standin, ExitStack() as running:
        services = []
        for place in range(number):
            home = folder / f"host{place}"
            home.mkdir()
            service = Service(url, standin, home, more={"WORKERS": "1", **more})
            running.callback(end, service)
            service.start()
            services.append(service)
        yield services


def end(service: Service) -> None:
    if service.process is not None and service.process.poll() is None:
        service.stop()


def under_load(services: Sequence[Service], happens: Callable[[], object], name: str) -> None:
    """Ask for a code from fifty phones a second, let something happen, and count what came of it."""
    people = some(services[0].database_url, A_SECOND * SECONDS)
    load = SteadyTexts([it.address for it in services], [(it.mobile, f"RESET {it.national_id}") for it in people])
    at = load.run(happens, HAPPENS_AFTER)
    standin = services[0].standin
    everybody = {it.mobile for it in people}
    standin.wait(lambda: everybody <= {it.to for it in standin.taken}, IN_HAND + PATIENCE_SECONDS)
    taken = list(standin.taken)
    lost = everybody - {message.to for message in taken}
    doubled, copies = counted(services[-1], people, [(it.to, it.body) for it in taken])
    print(
        f"\n{name}: {len(people)} texts at {A_SECOND} a second; lost {len(lost)}, doubled {doubled}, "
        f"identical copies {copies}, longest wait {load.longest_wait(at):.1f} s; answers {dict(load.statuses)}"
    )
    assert (len(lost), doubled) == (0, 0)
    assert load.longest_wait(at) < SOON


def found(service: Service, statement: Any) -> list[Any] | None:
    """The rows, or None where the database does not answer yet."""
    with suppress(OperationalError):
        return service.rows(statement)
    return None


def counted(service: Service, people: Sequence[Pilgrim], taken: list[tuple[str, str]]) -> tuple[int, int]:
    """How many phones got two different texts or have two codes; and how many texts left twice, word for word."""
    waiting = select(MESSAGE.c.id).where(MESSAGE.c.status == int(DeliveryStatus.QUEUED))
    assert eventually(lambda: found(service, waiting) == [])
    different = Counter(phone for phone, _ in set(taken))
    asked = select(CODE.c.phone, func.count()).group_by(CODE.c.phone)
    assert eventually(lambda: found(service, asked) is not None)
    rows = dict(found(service, asked) or [])
    doubled = sum(different[it.mobile] > 1 or rows[it.mobile] > 1 for it in people)
    return doubled, len(taken) - len(set(taken))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with primary_and_standby() as both:
        yield both


def test_a_standby_is_promoted(servers: tuple[Server, Server], tmp_path: Path) -> None:
    primary, standby = servers

    def fail_over() -> None:
        primary.kill()
        standby.ask("SELECT pg_promote()")

    with hosts(url_of(servers), tmp_path, 1, WORKERS="2") as services:
        under_load(services, fail_over, "promotion of a standby")


def test_a_host_dies(postgresql_url: str, tmp_path: Path) -> None:
    with hosts(postgresql_url, tmp_path) as services:
        under_load(services, services[0].kill, "death of a host")
        assert eventually(lambda: shares(services[1]) == [100])


def shares(service: Service) -> list[int]:
    with closing(Store(service.database_url)) as store, store.reading() as connection:
        return [it.per_second for it in send_shares.held(connection)]


@pytest.fixture
def pooler(postgresql_url: str) -> Iterator[PgBouncer]:
    with pgbouncer(make_url(postgresql_url)) as pooler:
        yield pooler


def test_pgbouncer_is_restarted(pooler: PgBouncer, tmp_path: Path) -> None:
    def restart() -> None:
        pooler.stop()
        pooler.start()

    with hosts(pooler.url, tmp_path, 1, WORKERS="2") as services:
        under_load(services, restart, "restart of PgBouncer")


@pytest.mark.paced
def test_two_services_never_send_more_than_the_rate(postgresql_url: str, tmp_path: Path) -> None:
    """Both have more to do than they may; a third joins, one stops."""
    rate = 20
    with hosts(postgresql_url, tmp_path, MESSAGES_PER_SECOND=str(rate)) as services:
        people = some(postgresql_url, 160)
        load = SteadyTexts([it.address for it in services], [(it.mobile, f"RESET {it.national_id}") for it in people])
        load.run(services[0].stop, 2.0)
        standin = services[0].standin
        assert standin.wait(lambda: len({it.to for it in standin.taken}) == len(people))
        at = sorted(message.at for message in standin.taken)
        busiest = max(bisect_left(at, start + SPAN) - place for place, start in enumerate(at)) / SPAN
        print(f"\n{len(at)} texts in {at[-1] - at[0]:.1f} s at {rate} a second; {busiest:.1f} in the busiest {SPAN} s")
        # What the machine held up comes a moment later; two that did not share would send twice as many.
        assert busiest <= rate * 1.25


class TestPgBouncer:
    def test_each_transaction_has_the_timeouts(self, pooler: PgBouncer) -> None:
        with closing(Store(pooler.url)) as store, store.writing() as connection:
            found = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in TIMEOUT_NAMES]
        assert found == [f"{BUSY_TIMEOUT}s", f"{STATEMENT_TIMEOUT}s", f"{IDLE_TIMEOUT}s"]

    def test_a_single_read_has_the_timeouts_that_the_role_is_given(self, postgresql_url: str) -> None:
        at = make_url(postgresql_url)
        own = at.set(username=f"role-of-{at.database}", password=None, database=f"{at.database}-own")
        behind = own.update_query_dict({"pooler": "transaction"})
        script = printed("postgresql", DATABASE_URL=behind.render_as_string(hide_password=False)).stdout
        ran = as_superuser(postgresql_url, postgresql_url, script)
        assert ran.returncode == 0, ran.stderr
        with pgbouncer(own) as pooler, closing(Store(pooler.url)) as store, store.reading() as connection:
            found = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in TIMEOUT_NAMES]
        assert found == [f"{BUSY_TIMEOUT}s", f"{STATEMENT_TIMEOUT}s", f"{IDLE_TIMEOUT}s"]

    def test_a_statement_that_is_used_often_works_on_any_of_its_connections(self, pooler: PgBouncer) -> None:
        with closing(Store(pooler.url)) as store:
            for _ in range(3):
                with store.reading() as one, store.writing() as other, store.still() as third:
                    for connection in (one, other, third) * 7:
                        assert connection.execute(text("SELECT :n + 1"), {"n": 1}).scalar_one() == 2

    def test_a_database_is_migrated_through_it(self, pooler: PgBouncer) -> None:
        with closing(Store(pooler.url)) as store:
            migrate.downgrade(store, migrate.OLDEST)
            migrate.upgrade(store)
            assert migrate.is_current(store)


TIMEOUT_NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


class TestTimeouts:
    def test_each_connection_has_them(self, postgresql_url: str) -> None:
        with closing(Store(postgresql_url)) as store, store.reading() as connection:
            found = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in TIMEOUT_NAMES]
        assert found == [f"{BUSY_TIMEOUT}s", f"{STATEMENT_TIMEOUT}s", f"{IDLE_TIMEOUT}s"]

    def test_a_row_that_another_holds_is_waited_for_for_seconds_only(self, postgresql_url: str) -> None:
        held = text("SELECT pg_advisory_xact_lock(1)")
        with closing(Store(postgresql_url)) as store, store.writing() as one:
            one.execute(held)
            with pytest.raises(OperationalError, match="lock timeout"), store.writing() as other:
                other.execute(held)


class TestSeveralServers:
    def test_the_one_that_can_be_written_to_is_found(self, servers: tuple[Server, Server]) -> None:
        """Whatever the order. After the test above it is the second, and the first is gone."""
        for order in (servers, servers[::-1]):
            with closing(Store(url_of(order))) as store, store.writing() as connection:
                assert not connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
