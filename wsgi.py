"""What `flask` finds: the commands. The service itself is started by `flask serve`."""

from flask import Flask

from bot import cli as operating
from webhooks import cli as serving

app = Flask("ramz")
for command in (*operating.COMMANDS, *serving.COMMANDS):
    app.cli.add_command(command)
