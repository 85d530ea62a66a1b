"""One module per provider. To add one: a module with a class that keeps ports.Gateway, and its line in build.py.

http_client.py makes their HTTP calls, and those to Fakher.
"""
