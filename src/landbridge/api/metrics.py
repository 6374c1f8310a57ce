"""Figures for Prometheus: how many calls, with what result, how long they took."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one service. `action` is one of the table's, or `unknown`."""

    def __init__(self) -> None:
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

    def count(self, action: str, code: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(action, code).inc()
        self._seconds.labels(action).observe(seconds)

    def page(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self._registry)
