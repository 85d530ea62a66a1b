"""What providers are asked for, where they don't call.

polls.py            whose turn it is to ask, and from where on
polled_messages.py  texts that were fetched and wait to be heard, encrypted
"""
