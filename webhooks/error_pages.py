"""Pages for people beside the console and the phones: the first page, and the pages in place of errors.

People read them in their language. Providers, Fakher and monitors get what their protocols say instead.
"""

from flask import Blueprint, Response, current_app, request

from webhooks import html

# Where no people come.
MACHINES = ("/api/", "/webhooks/", "/static/", "/healthz", "/readyz", "/metrics")
# A status that has words of its own; any other is told as "something is wrong here".
REASONS = {400: "bad", 403: "forbidden", 404: "missing", 405: "missing", 413: "bad", 503: "later"}
SECONDS_TO_WAIT = 30


def routes() -> Blueprint:
    """The first page: what this is, and where to go."""
    blueprint = Blueprint("error_pages", __name__)
    blueprint.add_url_rule("/", "first", lambda: page("first", 200))
    return blueprint


def is_for_people() -> bool:
    """Whether somebody reads what is answered: it is no machine's address, and the caller takes pages."""
    return not request.path.startswith(MACHINES) and request.accept_mimetypes.accept_html


def error(status: int) -> Response:
    """A page in place of an error."""
    answer = page(REASONS.get(status, "broken"), status)
    if status == 503:
        answer.headers["Retry-After"] = str(SECONDS_TO_WAIT)
    return answer


def page(reason: str, status: int) -> Response:
    """What has happened, what this is, and where to go."""
    has_phone = "phone" in current_app.blueprints
    answer = html.page("error_pages.html", html.language_asked(), reason=reason, has_phone=has_phone)
    answer.status_code = status
    return answer
