"""Another process hears the same text between the moment at which this one looks it up and that at which it writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select

from bot.ports import Inbound
from store.database.engine import Store
from store.inbound_messages import INBOUND
from store.tables import ConversationRow, OutboundMessageRow, table
from tests.support.people import OMID, ZAHRA, bot_on, settle

CONVERSATION, MESSAGE = table(ConversationRow), table(OutboundMessageRow)


class Interrupted(Store):
    """A store; something else happens before it first writes."""

    meanwhile: Callable[[], object] | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        with super().writing() as connection:
            yield connection


# A provider's id names one text, whatever sender a forger writes beside it.
@pytest.mark.parametrize("sender", [ZAHRA["mobile"], OMID["mobile"]], ids=["its sender", "another"])
def test_a_text_that_another_process_has_heard_meanwhile_has_one_effect(store: Store, sender: str) -> None:
    settle(store, ZAHRA, OMID)
    mine = Interrupted(store.url.render_as_string(hide_password=False))
    there = bot_on(store)
    mine.meanwhile = lambda: there.hear(Inbound("simulated", "M1", ZAHRA["mobile"], "راهنما"))
    assert bot_on(mine).hear(Inbound("simulated", "M1", sender, "راهنما")) is None
    mine.close()
    with store.reading() as connection:
        assert connection.execute(select(CONVERSATION.c.phone)).scalars().all() == [ZAHRA["mobile"]]
        assert connection.execute(select(MESSAGE.c.phone)).scalars().all() == [ZAHRA["mobile"]]
        assert len(connection.execute(select(INBOUND)).all()) == 1
