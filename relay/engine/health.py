"""Whether this process lives, has started, and can take requests: three questions with three answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from relay.ports import Finding


class Health:
    """The routes `/-/health/live`, `/ready` and `/startup`.

    Live: the loop turns. Startup: everything has been opened. Ready: and it is not draining, and every check is content.
    """

    def __init__(self, findings: Callable[[], Mapping[str, Finding]]) -> None:
        self._findings = findings
        self.has_started = False
        self.is_draining = False

    def add_to(self, application: web.Application) -> None:
        application.router.add_get("/-/health/live", self.live)
        application.router.add_get("/-/health/startup", self.startup)
        application.router.add_get("/-/health/ready", self.ready)

    async def live(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def startup(self, request: web.Request) -> web.Response:
        status = "started" if self.has_started else "starting"
        return web.json_response({"status": status}, status=200 if self.has_started else 503)

    async def ready(self, request: web.Request) -> web.Response:
        """503 with the names of the checks that are not content; their messages are for the operators' listener only."""
        failing = sorted(name for name, finding in self._findings().items() if not finding.ok)
        if not self.has_started:
            failing.append("starting")
        if self.is_draining:
            failing.append("draining")
        return web.json_response(
            {"status": "not ready" if failing else "ready", "failing": failing}, status=503 if failing else 200
        )
