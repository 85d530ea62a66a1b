"""A gateway and its provider, for as long as a test takes."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.wire import Open, ProviderWire


@pytest.fixture
def opened() -> Iterator[Open]:
    made: list[Any] = []

    def make(name: str, **changes: Any) -> ProviderWire:
        made.append(context := ProviderWire.opened(name, **changes))
        return context.__enter__()

    yield make
    for context in made:
        context.__exit__(None, None, None)
