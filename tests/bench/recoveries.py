"""Whole recoveries: a request, the code that comes, the code texted back, the password that comes."""

import time
from queue import Empty
from threading import Thread

from tests.bench import load
from tests.bench.people import Person
from tests.bench.provider import Provider

WITHIN = 30.0


def rate(port: int, public_url: str, people: list[Person], provider: Provider, at_once: int = 12) -> float:
    """Recoveries a second, from the first request to the last password at the provider; so many people at once."""
    waiting, failures = iter(people), []

    def work() -> None:
        for person in waiting:
            try:
                _recover(port, public_url, person, provider)
            except (AssertionError, Empty) as error:
                failures.append(error)

    threads = [Thread(target=work) for _ in range(at_once)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, f"{len(failures)} recoveries failed"
    return len(people) / (time.monotonic() - began)


def _recover(port: int, public_url: str, person: Person, provider: Provider) -> None:
    national_id, mobile = person
    arrivals = provider.arrivals[mobile]
    asked = load.text(public_url, f"SMa{mobile[1:]:0>31}", mobile, f"رمز {national_id}")
    assert load.answers_200(port, asked)
    code = arrivals.get(timeout=WITHIN).code
    assert load.answers_200(port, load.text(public_url, f"SMb{mobile[1:]:0>31}", mobile, code))
    arrivals.get(timeout=WITHIN)
