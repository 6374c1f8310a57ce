"""Figures for Prometheus: calls, their results and times; migrations by status, and their lag."""

from __future__ import annotations

import threading
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ..cloud import Cloud
from ..cloud.migrations.figures import Summary
from ..errors import LandbridgeError

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one service. `action` is one of the table's, or `unknown`.

    Anybody may read them: they name no account and nothing of one.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._migrations = Summary(cloud)
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._calls = Counter(
            "landbridge_api_calls",
            "Calls by action and code of the answer.",
            ("action", "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "landbridge_api_call_seconds",
            "Seconds from a call's arrival to its answer.",
            ("action",),
            registry=self._registry,
        )

        self._count = Gauge(
            "landbridge_migrations",
            "Migrations on record by status, of all accounts.",
            ("status",),
            registry=self._registry,
        )
        self._lag = Gauge(
            "landbridge_migrations_lag_seconds",
            "Seconds that the migration lags which lags most, by status.",
            ("status",),
            registry=self._registry,
        )

    def count(self, action: str, code: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(action, code).inc()
        self._seconds.labels(action).observe(seconds)

    def page(self) -> bytes:
        """All figures in Prometheus' text form; it looks into the database."""
        with self._lock:
            self._count.clear()
            self._lag.clear()
            with suppress(LandbridgeError):  # of the calls, those can be told without it
                found = self._migrations.now()
                for status, number in found.count.items():
                    self._count.labels(status).set(number)
                for status, seconds in found.lag.items():
                    self._lag.labels(status).set(seconds)
            return generate_latest(self._registry)
