"""How the whole run behaves: what runs only with ALL=1, and what its last lines say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

_PROMISE = re.compile(r"test_(P\d\d)_")
_CLAIMS = Path(__file__).parent / "promises" / "README.md"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("ALL"):
        return
    slow = [item for item in items if item.get_closest_marker("all")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("all")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    stats = terminalreporter.stats
    kept = {name for report in stats.get("passed", []) for name in _promises(report.nodeid)}
    broken = {name for key in ("failed", "error") for report in stats.get(key, []) for name in _promises(report.nodeid)}
    claims = re.findall(r"^\| (P\d\d) \| (.+?) \|", _CLAIMS.read_text(encoding="utf-8"), re.MULTILINE)
    if kept or broken:
        still_open = [name for name, _ in claims if name not in kept or name in broken]
        terminalreporter.write_line(f"promises kept: {' '.join(sorted(kept - broken))}")
        terminalreporter.write_line(f"promises open: {' '.join(still_open)}")
    reasons = sorted({_reason(report) for report in stats.get("skipped", [])})
    for reason in reasons:
        terminalreporter.write_line(f"skipped: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("NOTHING_SKIPPED") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _promises(node: str) -> Iterable[str]:
    return _PROMISE.findall(node)


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
