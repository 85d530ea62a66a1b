"""Where things lie, found from the project's root, so that a test may be moved to another folder."""

from pathlib import Path

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
TESTS = ROOT / "tests"
