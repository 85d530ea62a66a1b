"""What is answered where the database fails a call: try again soon. The log tells an outage from an error of ours."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from bot.platform.log import logger
from store.conversations import StaleRead
from store.database.engine import is_out_of_reach

LOG = logger("webhooks")

DATABASE_ERRORS = (DBAPIError, NoConnectionFree, StaleRead)
RETRY_AFTER_SECONDS = 2


def log(error: Exception) -> None:
    """Write down what has happened; the caller answers 503, for nothing was done."""
    if isinstance(error, StaleRead):
        LOG.warning("changed_meanwhile", error_seen=error)
    elif is_out_of_reach(error):
        LOG.error("database_out_of_reach", error_seen=error)
    else:
        LOG.error("request_broken", error_seen=error)
