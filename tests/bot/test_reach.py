"""Who can reach the bot: the simulated carrier this machine alone, providers of a real gateway by https alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import BadSettings, read_for_service, read_for_trial
from tests.bot.test_settings import KANNEL, SIMULATED, WHOLE, names, service_faults
from tests.support.parts import KEYS

REAL = [WHOLE, KANNEL]
NAMES = ("::", "0", "127.1", "localhost.example.ir", "127.0.0.1.example.ir", "ramz.example.ir")
HERE = ("127.0.0.1", "127.0.0.2", "::1", "localhost")
elsewhere = st.sampled_from(NAMES) | st.ip_addresses().filter(lambda it: not it.is_loopback).map(str)


def trial_faults(environment: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        read_for_trial({"SECRET_KEYS": KEYS, **environment})
    return caught.value.faults


@given(elsewhere)
def test_the_simulated_carrier_refuses_to_listen_beyond_this_machine(host: str) -> None:
    assert names(service_faults(SIMULATED | {"HOST": host})) == ["HOST"]
    assert names(trial_faults({"HOST": host})) == ["HOST"]


@pytest.mark.parametrize("host", HERE)
def test_the_simulated_carrier_listens_on_any_name_of_this_machine(host: str) -> None:
    assert read_for_service(SIMULATED | {"HOST": host}).host == host
    assert read_for_trial({"SECRET_KEYS": KEYS, "HOST": host}).host == host


@pytest.mark.parametrize("real", REAL, ids=["twilio", "kannel"])
def test_a_real_gateway_may_listen_anywhere(real: dict[str, str]) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        assert read_for_service(real | {"HOST": host}).host == host


def _written(host: Any) -> str:
    return f"[{host}]" if ":" in str(host) else str(host)


@given(elsewhere.map(_written), st.sampled_from(["", ":8000", ":8000/sms", "/sms"]), st.sampled_from(REAL))
def test_no_provider_calls_by_http_over_the_network(host: str, rest: str, real: dict[str, str]) -> None:
    assert names(service_faults(real | {"PUBLIC_URL": f"http://{host}{rest}"})) == ["PUBLIC_URL"]
    assert read_for_service(real | {"PUBLIC_URL": f"https://{host}{rest}"}).public_url == f"https://{host}{rest}"


@pytest.mark.parametrize("host", HERE)
def test_a_provider_on_this_machine_may_call_by_http(host: str) -> None:
    for real in REAL:
        address = f"http://{_written(host)}:8000"
        assert read_for_service(real | {"PUBLIC_URL": address}).public_url == address


def test_the_simulated_carrier_asks_for_no_https() -> None:
    assert read_for_service(SIMULATED | {"PUBLIC_URL": "http://ramz.example.ir"}).gateways == ("simulated",)
