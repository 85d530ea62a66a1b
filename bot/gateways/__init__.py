"""One module per provider, and one for all that have an HTTP API.

A provider with an HTTP API needs a profile and no code. For any other: a module with a class that keeps
ports.Gateway, and its line in build.py.

http_client.py  makes their HTTP calls, and those to Fakher: bounded, verified, never redirected or logged (urllib3)
simulated.py    a carrier that reaches no further than this machine
twilio.py       Twilio
kannel.py       Kannel, an SMS gateway of one's own
http/           every provider that profiles/ describes, a file each
"""
