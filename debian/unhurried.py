"""A plugin for pytest: who builds packages may be busy, so no example of Hypothesis has a deadline."""

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
