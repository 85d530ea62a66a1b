"""Tells Fakher of changed passwords, so that it ends open sessions: signed as the Standard Webhooks specification says.

An event is a row of the transaction that it tells of. It is posted until Fakher answers with 2xx, for a day.
"""

import json
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread

from standardwebhooks import Webhook

from bot.parts import Parts
from bot.platform.http_client import HttpClient
from bot.platform.log import logger
from bot.ports import SendFailed
from store import webhook_events
from store.webhook_events import Due

LOG = logger("fakher_events")

POST_SECONDS = 12
# Longer than one post can take: an event that a dead process held is posted by another after so long.
LEASE = timedelta(seconds=15)
# In seconds, after each failure; the last repeats until a day has passed.
DELAYS = (2, 5, 15, 60, 300, 900, 3600)
WORTH = timedelta(days=1)


class EventPoster:
    """Posts what is due to Fakher, one event after the other."""

    def __init__(self, parts: Parts) -> None:
        """Take the address and the secret from the settings; without them nothing is posted."""
        self.store, self.clock = parts.store, parts.clock
        self.url = parts.settings.fakher_events_url
        self._signer = Webhook(parts.settings.fakher_events_secret) if self.url else None
        self._http = HttpClient()
        self._stopping = Event()

    def stop(self) -> None:
        """Begin no further post."""
        self._stopping.set()

    def post_due(self) -> int:
        """Post all that is due; how many attempts there were."""
        attempts = 0
        while self._signer and not self._stopping.is_set() and (due := self._claim()):
            for event in due:
                self._note(event, self._post(self._signer, event))
                attempts += 1
        return attempts

    def _claim(self) -> list[Due]:
        now = self.clock()
        with self.store.reading() as connection:
            if not webhook_events.is_due(connection, now):
                return []
        with self.store.writing() as connection:
            return webhook_events.claim(connection, now, 1, LEASE)

    def _post(self, signer: Webhook, event: Due) -> str | None:
        """Post an event; None where it was taken, else why not."""
        outcome: SimpleQueue[str | None] = SimpleQueue()
        # An endpoint that sends byte after byte outlasts every timeout of a read: it is left alone after so long.
        Thread(target=lambda: outcome.put(self._try(signer, event)), daemon=True).start()
        try:
            return outcome.get(timeout=POST_SECONDS)
        except Empty:
            return "Timeout"

    def _try(self, signer: Webhook, event: Due) -> str | None:
        body, now = body_of(event), self.clock()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": f"msg_{event.id}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(f"msg_{event.id}", now, body),
        }
        try:
            answer = self._http.request("POST", self.url, headers=headers, body=body.encode(), status_only=True)
        except SendFailed as failed:
            return failed.reason
        except Exception as error:  # whatever an endpoint does, the event is posted again
            return type(error).__name__
        return None if 200 <= answer.status < 300 else f"status {answer.status}"

    def _note(self, event: Due, failure: str | None) -> None:
        now = self.clock()
        delay = timedelta(seconds=DELAYS[min(event.attempts, len(DELAYS)) - 1])
        with self.store.writing() as connection:
            if failure is None:
                webhook_events.end(connection, event.id, now)
            elif now + delay >= event.happened_at + WORTH:
                webhook_events.end(connection, event.id, now, error=failure)
            else:
                webhook_events.retry(connection, event.id, now + delay, failure)
        if failure is not None:
            LOG.warning("event_not_taken", event_of=event.event, attempt=event.attempts, reason=failure)


def body_of(event: Due) -> str:
    """What is posted: the type, when it happened, and whose account it is about."""
    data = {"national_id": event.national_id, "username": event.username}
    return json.dumps({"type": event.event, "timestamp": _iso(event.happened_at), "data": data}, ensure_ascii=False)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
