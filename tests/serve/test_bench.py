"""The bench measures what it says."""

from __future__ import annotations

from bench import streams


async def test_streams_are_measured_and_those_beyond_the_limit_refused():
    one, beyond = await streams.measure(1, 4.0)
    assert (one.clients, beyond.clients) == (1, 17)
    assert beyond.refused >= 16  # the others too, if the computer is busy
    assert one.failed == beyond.failed == 0
    if not one.refused:
        assert one.events > 0
        assert 0 < one.p50_ms <= one.p95_ms <= one.p99_ms
        assert one.server_cores > 0
