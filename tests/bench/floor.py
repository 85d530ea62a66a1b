"""The floor: a bare Flask view that checks the same signature and commits one transaction that inserts three rows."""

import os
import sys

from flask import Flask, Response, request
from gunicorn.app.base import BaseApplication
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from twilio.request_validator import RequestValidator

from store.database.engine import Store
from tests.bench.load import PATH, TOKEN

METADATA = MetaData()
ROWS = Table("row", METADATA, Column("id", Integer, primary_key=True), Column("name", String), Column("words", String))


def create_app() -> Flask:
    """The bare application, on the database that BENCH_DATABASE names."""
    store = Store(os.environ["BENCH_DATABASE"])
    validator = RequestValidator(TOKEN)
    address = os.environ["BENCH_URL"] + PATH
    app = Flask("floor")
    three = insert(ROWS)

    @app.post(PATH)
    def take() -> Response:
        if not validator.validate(address, request.form, request.headers.get("X-Twilio-Signature", "")):
            return Response(status=403)
        row = {"name": request.form["MessageSid"], "words": request.form["Body"]}
        with store.writing() as connection:
            for _ in range(3):
                connection.execute(three, row)
        return Response("<Response/>", content_type="text/xml")

    @app.get("/readyz")
    def ready() -> Response:
        return Response("ready")

    return app


class Floor(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The application under as many workers as the argument says, on the port that BENCH_PORT names."""

    def load_config(self) -> None:
        """What `serve` has, too, where it matters."""
        for name, value in {"bind": f"127.0.0.1:{os.environ['BENCH_PORT']}", "workers": int(sys.argv[1])}.items():
            self.cfg.set(name, value)
        self.cfg.set("loglevel", "warning")

    def load(self) -> Flask:
        """The application of one worker."""
        return create_app()


if __name__ == "__main__":
    Floor().run()
