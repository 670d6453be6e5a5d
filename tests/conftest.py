"""What all tests share: a run in which nothing passed is a failure, and hypothesis draws the same cases everywhere."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("push", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("push")


# A shell starts background jobs with Ctrl-C ignored, and child processes inherit that: tests of Ctrl-C could not pass.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn "all skipped" into pytest's exit code for "nothing was tested", which CI takes for a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter is not None and not session.config.option.collectonly:
        if not reporter.stats.get("passed"):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
