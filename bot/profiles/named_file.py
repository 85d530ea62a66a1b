"""Files that settings name: read whole, and never waited for."""

from pathlib import Path


class UnreadableFile(Exception):
    """The file can't be read. It says why, without its name or what is in it."""


def read_file(path: Path) -> str:
    """What is in a file of UTF-8. UnreadableFile also where it is a pipe or a device: to read it might never end."""
    try:
        if path.exists() and not path.is_file():
            raise UnreadableFile("is no file")
        return path.read_text("utf-8-sig")  # Windows' editors put a mark before the text
    except UnicodeDecodeError:
        raise UnreadableFile("is not in UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise UnreadableFile(f"cannot be read ({type(error).__name__})") from None
