"""Where the world knocks: HTTP in, HTTP out, no rules of the dialog.

inbound.py  texts and receipts, from every gateway by one pair of routes
health.py   alive, able to serve, figures
"""

from flask import Flask

from bot.build import Bot
from webhooks import health, inbound

# A text is at most 1,600 characters; with a provider's other fields that is a few kilobytes.
LARGEST_BODY = 64 * 1024


def create_app(bot: Bot) -> Flask:
    """The web application around a bot."""
    app = Flask("webhooks")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.register_blueprint(inbound.routes(bot))
    app.register_blueprint(health.routes(bot))
    return app
