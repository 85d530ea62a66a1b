"""STOP while texts wait: they are dropped, but for those that protect the account."""

from sqlalchemy import select

from bot.build import Bot
from bot.ports import Inbound
from dialogs.vocabulary import Event
from store.tables import PROTECTIVE, DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.store.test_store import a_text, queue
from tests.support.parts import Carrier
from tests.support.people import OMID, ZAHRA, settled

MESSAGE = table(OutboundMessageRow)


def test_what_waits_is_dropped_by_stop_but_for_what_protects(bot: Bot) -> None:
    settled(bot)
    mine = queue(bot.store, *(a_text(kind, secret=b"sealed") for kind in MessageKind))
    others = queue(bot.store, *(a_text(kind, phone=OMID["mobile"]) for kind in MessageKind))
    assert bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], "STOP")) is Event.STOP
    with bot.store.reading() as connection:
        found = {row.id: row for row in connection.execute(select(MESSAGE))}
    assert {found[number].status for number in others} == {DeliveryStatus.QUEUED}
    for kind, number in zip(MessageKind, mine, strict=True):
        waits = kind in PROTECTIVE
        assert (found[number].status == DeliveryStatus.QUEUED) is waits, kind
        assert (found[number].secret is not None) is waits, kind
        assert found[number].error == (None if waits else "opted_out"), kind


def test_a_forged_stop_after_the_code_leaves_nobody_without_the_new_password(bot: Bot, carrier: Carrier) -> None:
    """It is the one text that tells the registered mobile that the old password is void."""
    settled(bot)
    for number, words in enumerate(("رمز 0012345679", "100001", "STOP")):
        bot.hear(Inbound("simulated", f"M{number}", ZAHRA["mobile"], words))
    bot.courier.deliver_due()
    assert [text.phrase for text in carrier.sent] == ["new_password", "opted_out"]
