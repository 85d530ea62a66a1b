"""What a promotion loses where no commit waits for the standby: a primary is killed under fifty texts a second.

BENCH_ROUNDS says how often it is done, each time with new servers.
"""

import os
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from store.database.engine import Store
from tests.support.hosts.postgresql_servers import Server, primary_and_standby, url_of
from tests.support.hosts.steady_texts import SteadyTexts
from tests.support.parts import eventually
from tests.system.test_service import Pilgrim, Service, some
from tests.system.test_several_hosts import A_SECOND, CODE, SECONDS, found, hosts

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
AFTER = 5.0  # seconds


def main() -> None:
    """Promote a standby so many times, and count what it knows of what was answered by 200."""
    for number in range(1, ROUNDS + 1):
        with primary_and_standby() as both, tempfile.TemporaryDirectory() as folder:
            print(f"{number}: {_round(*both, Path(folder))}", flush=True)


def _round(primary: Server, standby: Server, folder: Path) -> str:
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
    primary.ask("SELECT pg_reload_conf()")
    # A database is told of it in a moment; what is not synchronous is then no longer said to be.
    assert eventually(lambda: not primary.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def fail_over() -> None:
        primary.kill()
        standby.ask("SELECT pg_promote()")

    with hosts(url_of((primary, standby)), folder, 1, WORKERS="2") as services:
        people = some(services[0].database_url, A_SECOND * SECONDS)
        texts = [(it.mobile, f"RESET {it.national_id}") for it in people]
        load = SteadyTexts([services[0].address], texts)
        at = load.run(fail_over, AFTER)
        assert eventually(lambda: found(services[0], select(CODE.c.phone)) is not None)
        return _told(services[0], people, load, at)


def _told(service: Service, people: list[Pilgrim], load: SteadyTexts, at: float) -> str:
    with closing(Store(service.database_url)) as store, store.reading() as connection:
        known = set(connection.execute(select(CODE.c.phone)).scalars())
    before = {phone for phone, answered in load.answered.items() if answered <= at}
    sent = {it.to for it in service.standin.taken}
    everybody = {it.mobile for it in people}
    return (
        f"{len(before)} answered by 200 before it, forgotten {len(everybody - known)}; "
        f"of these with a code on its way {len((everybody - known) & sent)}; "
        f"longest wait {load.longest_wait(at):.1f} s"
    )


if __name__ == "__main__":
    main()
