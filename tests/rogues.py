"""Configurations with collectors that misbehave, and how often they did."""

AGENT = """
[agent]
interval = "200ms"
timeout = "500ms"
backoff_max = "200ms"
[web]
listen = []
"""
TAME = "[collector.tame.good]\n"


def rogue(do, name="bad", kind="rogue", **settings):
    """Return a section for a collector that misbehaves."""
    lines = [f"[collector.{kind}.{name}]", f'do = "{do}"']
    lines += [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


def runs(agent, result, name="bad", kind="rogue"):
    """Return how many runs ended so."""
    return agent.value("rscollector_collector_runs_total", type=kind, name=name, result=result)
