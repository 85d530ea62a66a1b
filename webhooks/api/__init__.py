"""Fakher's API: JSON in, JSON or a problem (RFC 9457) out.

endpoints.py  the calls
models.py     what goes in and out of them
operations.py  the operations that describe them
openapi.py    their description, out of both
"""
