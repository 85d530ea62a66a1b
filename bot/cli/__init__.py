"""The operator's commands, one module per noun.

common.py    what they share: settings, database, audit, and how they end
schema.py    `flask db`
accounts.py  `flask accounts`
staff.py     `flask staff`
season.py    `flask season`
tokens.py    `flask tokens`
audit.py     `flask audit`
kpi.py       `flask kpi`
gateways.py  `flask gateways`
diagram.py   `flask diagram`
"""

import click

from bot.cli import accounts, audit, diagram, gateways, kpi, schema, season, staff, tokens
from bot.cli.common import guard

COMMANDS: tuple[click.Command, ...] = (
    schema.db,
    accounts.accounts,
    staff.staff,
    season.season,
    tokens.commands,
    audit.commands,
    kpi.kpi_command,
    gateways.gateways,
    diagram.diagram,
)
for command in COMMANDS:
    guard(command)
