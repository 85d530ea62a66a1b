"""The settings. No other module reads the environment, and every missing or bad setting is named at once.

secret_keys.py  SECRET_KEYS: read, and those of a trial made
fields.py       every setting, its default, and what its value must be
environment.py  read from the environment: for a trial, for one command, for the service
"""

from bot.settings.environment import (
    TRIAL_DATABASE,
    TRIAL_URL,
    BadSettings,
    is_loopback,
    misspelt,
    read,
    read_for_command,
    read_for_service,
    read_for_trial,
)
from bot.settings.fields import Settings
from bot.settings.secret_keys import KEPT_KEYS, kept_keys, key_ids, read_keys

__all__ = [
    "KEPT_KEYS",
    "TRIAL_DATABASE",
    "TRIAL_URL",
    "BadSettings",
    "Settings",
    "is_loopback",
    "kept_keys",
    "key_ids",
    "misspelt",
    "read",
    "read_for_command",
    "read_for_service",
    "read_for_trial",
    "read_keys",
]
