"""Has Prometheus's own promtool say which alarms fire on what a bot tells: scraped by us, evaluated by it."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.debian import program

# promtool's time begins on 1 January 1970 at midnight, UTC, which is night in Tehran. What fires by day only is scraped
# from here on, in minutes; the rest from the beginning: every minute before costs an evaluation of all rules.
BY_DAY = 6 * 60


def promtool() -> str:
    return program("promtool", "prometheus")


@dataclass
class Scrapes:
    """What was scraped, once a minute, the first time `begins` minutes after promtool's midnight."""

    begins: int = 0
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, float]] = field(default_factory=dict)
    minutes: int = 0
    began: datetime | None = None

    def take(self, at: datetime, **expositions: str | None) -> None:
        """Take a scrape of each host, as Prometheus keeps it, a minute after the one before; None: it did not answer.

        `at` is the time by Prometheus's own clock.
        """
        self.began = self.began or at
        for host, exposition in expositions.items():
            self._note(host, "up", {}, exposition is not None)
            for family in text_string_to_metric_families(exposition or ""):
                for sample in family.samples:
                    self._note(host, sample.name, sample.labels, sample.value)
        self.minutes += 1

    def _note(self, host: str, name: str, labels: Mapping[str, str], value: float) -> None:
        if name == "ramz_time_seconds":  # promtool's clock begins with 1970
            assert self.began is not None
            value += self.begins * 60 - self.began.timestamp()
        kept = {("exported_job" if key == "job" else key): word for key, word in labels.items()}
        kept |= {"job": "ramz", "instance": host}
        self.samples.setdefault((name, tuple(sorted(kept.items()))), {})[self.minutes] = float(value)

    def series(self) -> list[dict[str, str]]:
        found = []
        for (name, labels), values in self.samples.items():
            shown = ",".join(f"{key}={json.dumps(word)}" for key, word in labels)
            told = [f"{values[minute]!r}" if minute in values else "_" for minute in range(self.minutes)]
            found.append({"series": f"{name}{{{shown}}}", "values": " ".join([*gap(self.begins), *told])})
        return found


def gap(minutes: int) -> list[str]:
    """What stands before a series' values that begin so many minutes after midnight."""
    return [f"_x{minutes}"] if minutes else []


def firing(rules: Path, series: Sequence[Mapping[str, str]], minute: int, *alarms: str) -> list[dict[str, str]]:
    """The labels of each alarm that fires in a minute after midnight, once for each time. promtool says it."""
    wanted: dict[str, Any] = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": list(series),
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alarm, "exp_alerts": []} for alarm in alarms
                ],
            }
        ],
    }
    asked = rules.parent / "asked.json"  # JSON is YAML
    asked.write_text(json.dumps(wanted), "utf-8")
    ran = subprocess.run([promtool(), "test", "rules", str(asked)], capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return []
    _, _, got = (ran.stdout + ran.stderr).partition("got:[")
    assert any(f'alertname="{alarm}"' in got for alarm in alarms), ran.stdout + ran.stderr
    return [dict(pair.split("=", 1) for pair in got.partition("{")[2].partition("}")[0].replace('"', "").split(", "))]
