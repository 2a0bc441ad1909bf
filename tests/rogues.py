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


def install(site, name, plugins, files=()):
    """Install a package of collectors into a directory: their places by type, and its modules' texts by name."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = [f"{type_} = {place}" for type_, place in plugins.items()]
    (info / "entry_points.txt").write_text("\n".join(["[rscollector.collectors]", *points, ""]))
    for module, text in dict(files).items():
        (site / f"{module}.py").write_text(text)
