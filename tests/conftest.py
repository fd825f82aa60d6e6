"""Property tests are the same on every machine and do not mind a slow one."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tensornet",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tensornet")
