"""The operator's commands, one module per noun.

common.py     what they share: settings, database, audit, and how they end
schema.py     `flask db`
accounts.py   `flask accounts`
staff.py      `flask staff`
season.py     `flask season`
tokens.py     `flask tokens`
audit.py      `flask audit`
keys.py       `flask keys`
kpi.py        `flask kpi`
gateways.py   `flask gateways`
deploy.py     `flask deploy`
printing.py   what that prints or writes, made of templates/
retention.py  `flask retention`
diagram.py    `flask diagram`
"""

import click

from bot.cli import accounts, audit, deploy, diagram, gateways, keys, kpi, retention, schema, season, staff, tokens
from bot.cli.common import guard

COMMANDS: tuple[click.Command, ...] = (
    schema.db,
    accounts.accounts,
    staff.staff,
    season.season,
    tokens.commands,
    audit.commands,
    keys.keys,
    kpi.kpi_command,
    gateways.gateways,
    deploy.deploy,
    retention.retention,
    diagram.diagram,
)
for command in COMMANDS:
    guard(command)
