"""A real Prometheus with our configuration and rules, only in less of a hurry to wait, and a real service."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.bot.cli.test_deploy import printed
from tests.providers.kannel_standin import KannelStandIn
from tests.providers.twilio_standin import TwilioStandIn
from tests.support import lifeline
from tests.support.debian import program
from tests.support.parts import KEYS, eventually
from tests.system.test_handbook import serving, settings_of
from tests.system.test_service import free_port, some

pytestmark = pytest.mark.process
NOBODY = "http://127.0.0.1:9"


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Prometheus's address, as it scrapes a service every second and goes by our rules, each after a second."""
    rules = re.sub(
        "for: [0-9]+[ms]|interval: 15s", lambda found: found[0].split()[0] + " 1s", printed("prometheus").stdout
    )
    (folder / "ramz.rules.yml").write_text(rules, "utf-8")
    configuration = printed("prometheus", "--config", "--host", target).stdout.replace("15s", "1s")
    (folder / "prometheus.yml").write_text(configuration, "utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [program("prometheus", "prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'series'}", f"--web.listen-address={address}"]
    with (folder / "prometheus.out").open("wb") as out:
        process = lifeline.hold(subprocess.Popen(command, cwd=folder, stdout=out, stderr=out))
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def firing(address: str) -> dict[str, dict[str, str]]:
    """The alarms that fire, by their names, with their labels."""
    try:
        told = requests.get(f"{address}/api/v1/alerts", timeout=5).json()
    except requests.RequestException:  # not up yet
        return {}
    return {it["labels"]["alertname"]: it["labels"] for it in told["data"]["alerts"] if it["state"] == "firing"}


def test_a_gateway_that_is_down_is_seen(sqlite_url: str, tmp_path: Path) -> None:
    people = some(sqlite_url, 6)
    with TwilioStandIn() as standin, KannelStandIn() as kannel:
        more = {"GATEWAYS": "twilio,kannel", "TWILIO_API_URL": NOBODY, **settings_of(kannel)}
        with (
            serving(sqlite_url, standin, tmp_path, KEYS, **more) as service,
            prometheus(tmp_path, service.address.removeprefix("http://")) as address,
        ):
            for it in people:
                service.text(it.mobile, f"RESET {it.national_id}")
            assert eventually(lambda: all(kannel.texts_to(it.mobile) for it in people)), "the other one takes all"
            assert eventually(lambda: "RamzGatewayDown" in firing(address)), (tmp_path / "prometheus.out").read_text()
            fires = firing(address)
            assert (fires["RamzGatewayDown"]["gateway"], fires["RamzGatewayDown"]["severity"]) == ("twilio", "page")
            assert "RamzGone" not in fires and "RamzDatabaseOutOfReach" not in fires
            service.kill()
            assert eventually(lambda: "RamzGone" in firing(address))
