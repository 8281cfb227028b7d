"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..events import Statistics

CONTENT_TYPE = CONTENT_TYPE_LATEST

_HOP_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
_RTF_BUCKETS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """The server's counters. One registry per server, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.open = Gauge(
            "tasmi_streams_open", "Streams open now.", ["protocol"], registry=registry
        )
        self.started = Counter("tasmi_streams", "Streams begun.", ["protocol"], registry=registry)
        self.refused = Counter(
            "tasmi_streams_refused", "Connections refused.", ["reason"], registry=registry
        )
        self.closed = Counter(
            "tasmi_connections_closed",
            "Connections closed, by close code (1006: the client was gone or did not read).",
            ["protocol", "code"],
            registry=registry,
        )
        self.hop_delay = Histogram(
            "tasmi_hop_latency_seconds",
            "From when a hop's audio was there to when it was decided.",
            buckets=_HOP_BUCKETS,
            registry=registry,
        )
        self.lag = Gauge(
            "tasmi_lag_seconds",
            "Nine in ten recent hops were decided within this time.",
            registry=registry,
        )
        self.compute = Counter(
            "tasmi_compute_seconds", "Time spent recognising.", registry=registry
        )
        self.audio = Counter(
            "tasmi_audio_seconds", "Audio of the streams that have ended.", registry=registry
        )
        self.rtf = Histogram(
            "tasmi_stream_rtf",
            "Computing time per second of audio, of each stream that has ended.",
            buckets=_RTF_BUCKETS,
            registry=registry,
        )
        self.dropped = Counter(
            "tasmi_events_dropped",
            "Provisional events dropped because a client read too slowly.",
            registry=registry,
        )

    def ended(self, statistics: Statistics) -> None:
        """Takes what a stream cost."""
        self.audio.inc(statistics.audio_seconds)
        self.rtf.observe(statistics.rtf)
        self.dropped.inc(statistics.events_dropped)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
