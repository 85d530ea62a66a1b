"""How many times a second this machine can check a password and do nothing else, in one process. Prints the number."""

import sys
import time

from bot.credentials.keyring import PRODUCTION
from bot.credentials.passwords import hasher


def main() -> None:
    """Check for as many seconds as the argument says."""
    kept = hasher(PRODUCTION).hash("saffron")
    began, checked = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < float(sys.argv[1]):
        hasher(PRODUCTION).verify(kept, "saffron")
        checked += 1
    print(checked / spent)


if __name__ == "__main__":
    main()
