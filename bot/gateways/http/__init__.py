"""One gateway for every provider that has an HTTP API: what is a provider's own stands in a file, profiles/NAME.toml.

request.py   a section and its values as an HTTP request
answer.py    what an answer says: values by their path, and whether a text was taken
push.py      texts and receipts that a provider calls us with
polling.py   texts and receipts that a provider is asked for
gateway.py   the gateway `http-NAME`
"""
