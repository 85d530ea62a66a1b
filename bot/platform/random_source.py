"""Random values from the operating system (`secrets`)."""

import secrets


class SystemRandomSource:
    """The operating system's random source. Nobody can predict it."""

    def digits(self, number: int) -> str:
        """So many decimal digits, uniform, leading zeros kept."""
        return f"{secrets.randbelow(10**number):0{number}d}"

    def password(self, length: int, alphabet: str) -> str:
        """So many characters of an alphabet, uniform."""
        return "".join(secrets.choice(alphabet) for _ in range(length))

    def token(self) -> str:
        """A name that nobody else has: 22 characters, 128 bits."""
        return secrets.token_urlsafe(16)
