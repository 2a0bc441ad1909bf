"""From an old configuration to points under the old names, through a real agent."""

from harness import until


def test_alarms_written_for_rs_collector_go_on(agent, receiver, rscollector, tmp_path):
    """Migrated, checked and run: the receiver has the old names, values and tags, and is told what they are."""
    old = tmp_path / "rs-collector.conf"
    old.write_text(
        f'Host = "http://me:hush@127.0.0.1:{receiver.port}"\nHostname = "muffin"\n'
        '[Tags]\nhostgroup = "dev"\n[HasIpAddr]\nIpv4 = ["192.0.2.77"]\n'
    )
    receiver.demands = {"Authorization": "Basic bWU6aHVzaA=="}
    written = tmp_path / "etc"
    assert rscollector("migrate", old, "--write", written).returncode == 0
    assert rscollector("check", "--config", written / "rscollector.toml").returncode == 0
    config = (written / "rscollector.toml").read_text().replace("[agent]\n", '[agent]\ninterval = "300ms"\n')
    started = agent(f"{config}\n[web]\nlisten = []\n")
    tags = (("host", "muffin"), ("hostgroup", "dev"), ("name", "main"))
    points = lambda: {(metric, tags): value for metric, tags, _, value in receiver.points.copy()}  # noqa: E731
    until(lambda: ("os.net.has_ipv4s", tuple(sorted((*tags, ("ipv4", "192.0.2.77"))))) in points())
    assert points()["os.net.has_ipv4s", tuple(sorted((*tags, ("ipv4", "192.0.2.77"))))] == 0
    until(lambda: ("rs-collector.version", tags) in points())
    assert points()["rs-collector.version", tags] >= 1000
    assert points()["rs-collector.stats.rss", tags] > 1000
    until(lambda: ("rs-collector.stats.rss", "unit", "KB") in receiver.metadata)
    assert ("os.net.has_ipv4s", "rate", "gauge") in receiver.metadata
    assert "vip.bound" not in {metric for metric, *_ in receiver.points}
    assert started.value("vip_bound", address="192.0.2.77") == 0
