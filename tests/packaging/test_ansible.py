"""The Ansible roles, applied by a real Ansible to hosts with a real systemd, over a real ssh."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from harness import until
from hosts import ROOT, run, watched, with_file

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "ansible-playbook", "molecule", "ssh", "root"),
    pytest.mark.timeout(900),
    pytest.mark.parametrize("release", ["trixie"], indirect=True, scope="session"),
]
DASHBOARDS = with_file("dashboard.json")
BOSUN = {"name": "main", "url": "http://127.0.0.1:1", "token": "hush-token"}
GALERA = [
    {"name": "main", "host": "127.0.0.1", "user": "x", "password": "hush-one"},
    {"name": "second", "host": "127.0.0.1", "port": 3307, "user": "x", "password": "hush-two"},
]


def test_the_second_run_changes_nothing(bare, capsys):
    """From a bare host to a watched one; then nothing is to be done, and check mode says so as well."""
    variables = {"rscollector_collector_galera": GALERA, "rscollector_sink_bosun": [BOSUN]}
    foretold, to_do = bare.play("--check", **variables)
    assert to_do > 0, foretold.stdout
    assert bare.host.run("which", "rscollector", check=False).stdout == ""
    done, changed = bare.play(**variables)
    assert changed > 0
    until(lambda: 'rscollector_collector_up{name="second",type="galera"} 0' in bare.host.fetch(), 30)
    assert "hush" not in done.stdout + done.stderr
    config = bare.host.shell("cat /etc/rscollector/rscollector.toml")
    assert "hush" not in config
    assert 'password = { file = "/etc/rscollector/secrets/collector.galera.second.password" }' in config
    found = bare.host.shell("stat -c '%a %U %G' /etc/rscollector/secrets/*").splitlines()
    assert set(found) == {"640 root rscollector"}
    assert len(found) == 3
    began = time.monotonic()
    again, changed = bare.play(**variables)
    took = time.monotonic() - began
    assert changed == 0, again.stdout
    with capsys.disabled():
        print(f"\nthe role on an unchanged host: {took:.1f} s")
    _, to_do = bare.play("--check", **variables)
    assert to_do == 0


def test_what_is_no_longer_listed_goes_and_what_is_kept_runs_on(playing):
    """By a reload: the agent stays the same process, with a new address, too."""
    playing.play(rscollector_collector_galera=GALERA)
    until(lambda: 'name="second",type="galera"' in playing.host.fetch(), 30)
    pid = playing.host.show("MainPID")
    _, to_do = playing.play("--check", rscollector_collector_galera=GALERA[:1])
    assert to_do > 0
    assert "second" in playing.host.shell("ls /etc/rscollector/secrets")
    playing.play(rscollector_collector_galera=GALERA[:1])
    until(lambda: 'name="second",type="galera"' not in playing.host.fetch(), 30)
    assert playing.host.show("MainPID") == pid
    assert playing.host.shell("ls /etc/rscollector/secrets") == "collector.galera.main.password\n"
    playing.play(rscollector_collector_galera=GALERA[:1], rscollector_listen=["127.0.0.1:10071"])
    assert "rscollector_collector_up" in playing.host.fetch(port=10071)
    assert playing.host.fetch() == ""
    assert playing.host.show("MainPID") == pid


def test_a_wrong_variable_is_refused_before_anything_is_touched(playing):
    """By its name, also within an instance; a value that only the agent can judge replaces no working file."""
    for wrong, said in (
        ({"rscollector_collector_galera": [{"name": "main", "pasword": "x"}]}, "pasword"),
        ({"rscollector_collector_galera": [{"host": "h"}]}, "name"),
        ({"rscollector_sink_bosun": [{**BOSUN, "dialect": "latin"}]}, "latin"),
    ):
        done, _ = playing.play(check=False, **wrong)
        assert done.returncode != 0
        assert said in done.stdout
    assert playing.host.run("which", "rscollector", check=False).stdout == ""
    playing.play()
    before = playing.host.shell("cat /etc/rscollector/rscollector.toml")
    done, _ = playing.play(check=False, rscollector_agent={"interval": "soon"})
    assert done.returncode != 0
    assert "agent: interval" in done.stdout.replace("agent.interval", "agent: interval")
    assert playing.host.shell("cat /etc/rscollector/rscollector.toml") == before
    assert "rscollector_config_last_reload_successful 1" in playing.host.fetch()


def test_the_variables_of_the_old_role_are_understood(playing):
    """As the example has it; what has no place here is said."""
    old = {
        "server": {"ip": "127.0.0.1", "port": 1},
        "hostname": "db1",
        "hostgroup": "db",
        "common": {"tags": {"domain": "example"}},
        "galera": [{"user": "x", "password": "hush", "socket": "/run/mysqld/mysqld.sock"}],
        "hasipaddr": {"ipv4": ["192.0.2.10"]},
        "jvm": [{"command": "java", "name": "j"}],
    }
    playbook = Path(ROOT, "ansible", "examples", "from_rs_collector.yml")
    done, _ = playing.play(playbook=playbook, _rs_collector=old)
    assert "not carried over: jvm" in done.stdout
    until(lambda: 'vip_bound{address="192.0.2.10",name="main"} 0' in playing.host.fetch(), 30)
    config = playing.host.shell("cat /etc/rscollector/rscollector.toml")
    assert 'dialect = "rs-collector"' in config
    assert 'tags = { domain = "example", hostgroup = "db" }' in config
    assert "rscollector 0.1.0 on db1" in playing.host.run("rscollector", "status", check=False).stdout


def test_the_package_comes_from_a_repository(bare):
    """Which is added; check mode foretells it where nothing is there yet; a second run changes nothing."""
    host = bare.host
    host.shell(
        "mkdir /srv/repository && cd /srv/repository && cp /root/rscollector.deb . "
        "&& dpkg-scanpackages . > Packages && rm -rf /var/lib/apt/lists/*"
    )
    variables = {
        "rscollector_package_file": "",
        "rscollector_package_state": "latest",
        "rscollector_repository": {"uris": ["file:/srv/repository"], "suites": ["./"], "trusted": True},
    }
    _, to_do = bare.play("--check", **variables)
    assert to_do > 0
    bare.play(**variables)
    watched(host)
    again, changed = bare.play(**variables)
    assert changed == 0, again.stdout


def test_what_does_not_fit_what_is_there_replaces_nothing(playing):
    """A file of somebody else in conf.d: the run fails, what works stays; when it is gone, the next run takes effect."""
    host = playing.host
    playing.play()
    watched(host)
    before = host.shell("cat /etc/rscollector/rscollector.toml")
    host.put("/etc/rscollector/conf.d/mine.toml", "[collector.vip.extra]\n")
    wanted = {"rscollector_collector_vip": [{"name": "main"}, {"name": "extra"}]}
    done, _ = playing.play(check=False, **wanted)
    assert done.returncode != 0
    assert "conf.d/mine.toml:1" in done.stdout
    assert host.shell("cat /etc/rscollector/rscollector.toml") == before
    host.run("rscollector", "check")
    host.run("rm", "/etc/rscollector/conf.d/mine.toml")
    playing.play(**wanted)
    until(lambda: 'rscollector_collector_up{name="extra",type="vip"} 1' in host.fetch(), 30)
    host.put("/etc/rscollector/conf.d/mine.toml", "[collector.vip.main]\n")
    done, _ = playing.play(check=False, **wanted)
    assert done.returncode != 0
    assert "conf.d/mine.toml:1" in done.stdout
    watched(host)


def test_a_secret_that_was_written_is_used_whatever_fails_later(playing):
    """The agent is told of it also when the rest is refused, for no later run would tell it."""
    host = playing.host
    first = {"rscollector_collector_galera": GALERA[:1]}
    playing.play(**first)
    until(lambda: 'name="main",type="galera"' in host.fetch(), 30)
    loaded = host.fetch()
    second = {"rscollector_collector_galera": [{**GALERA[0], "password": "hush-new", "interval": "soon"}]}
    done, _ = playing.play(check=False, **second)
    assert done.returncode != 0
    assert "collector.galera.main.interval" in done.stdout
    assert host.shell("cat /etc/rscollector/secrets/*") == "hush-new"
    until(lambda: _loaded_at(host.fetch()) > _loaded_at(loaded), 30)


def test_what_is_wrong_is_said_though_no_agent_can_be_told(playing):
    """It is stopped, as by a configuration that was wrong at its start: that takes nothing from the real reason."""
    playing.play(rscollector_collector_galera=GALERA[:1])
    playing.host.run("systemctl", "stop", "rscollector")
    wrong = {"rscollector_collector_galera": [{**GALERA[0], "password": "hush-newer", "interval": "soon"}]}
    done, _ = playing.play(check=False, **wrong)
    assert (done.returncode, "failed=0" in done.stdout) == (2, False), done.stdout
    assert "no agent answers" in done.stdout + done.stderr
    assert "collector.galera.main.interval" in done.stdout.rpartition(": Say what is wrong]")[2]


def _loaded_at(page):
    name = "rscollector_config_last_reload_success_timestamp_seconds"
    return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} "))


def test_only_secrets_that_the_role_wrote_are_removed(playing):
    """A file of the operator's stays, also one that took over a name of the role's."""
    host = playing.host
    secrets = "/etc/rscollector/secrets"
    playing.play(rscollector_collector_galera=GALERA)
    host.put(f"{secrets}/mine", "hush")
    named = {"file": f"{secrets}/collector.galera.second.password"}
    mine = [
        {**GALERA[0], "password": {"file": f"{secrets}/mine"}},
        {**GALERA[1], "password": named},
    ]
    playing.play(rscollector_collector_galera=mine)
    assert host.shell(f"ls {secrets}").split() == ["collector.galera.second.password", "mine"]
    again, changed = playing.play(rscollector_collector_galera=mine)
    assert changed == 0, again.stdout
    playing.play(rscollector_collector_galera=mine[:1])
    assert host.shell(f"ls {secrets}").split() == ["collector.galera.second.password", "mine"]


def test_a_package_of_the_same_version_that_was_built_anew_is_installed(playing, tmp_path):
    """Which apt would pass over; after that nothing is to be done."""
    playing.play()
    run("dpkg-deb", "--raw-extract", playing.deb, tmp_path / "package")
    (tmp_path / "package" / "usr" / "share" / "rscollector" / "anew").write_text("")
    playing.deb = tmp_path / "rscollector.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tmp_path / "package", playing.deb)
    _, changed = playing.play()
    assert changed > 0
    assert "anew" in playing.host.shell("ls /usr/share/rscollector")
    watched(playing.host)
    again, changed = playing.play()
    assert changed == 0, again.stdout


def test_what_the_role_wrote_for_prometheus_goes_when_its_variables_are_emptied(playing):
    """And what others wrote stays: files beside, and the configuration as it was."""
    host = playing.host
    given = "rule_files:\n  - mine.yml\nscrape_configs:\n  - job_name: x\n"
    host.put("/etc/prometheus/prometheus.yml", given)
    host.put("/etc/prometheus/mine.yml", "groups: []\n")
    host.shell("mkdir -p /srv/dashboards /etc/prometheus/rscollector && touch /srv/dashboards/mine.json")
    host.put("/etc/prometheus/rscollector/mine.alerts.yml", "groups: []\n")
    role = {"role": "rscollector_prometheus", "rscollector_prometheus_dashboards": "/srv/dashboards"}
    playing.play(**role)
    emptied = {f"rscollector_prometheus_{name}": "" for name in ("config", "dashboards", "directory")}
    playing.play(role="rscollector_prometheus", **emptied, rscollector_prometheus_targets=[])
    assert host.shell("cat /etc/prometheus/prometheus.yml") == given
    assert host.shell("ls /srv/dashboards /etc/prometheus/rscollector").split() == [
        "/etc/prometheus/rscollector:", "mine.alerts.yml", "/srv/dashboards:", "mine.json",
    ]  # fmt: skip
    again, changed = playing.play(role="rscollector_prometheus", **emptied, rscollector_prometheus_targets=[])
    assert changed == 0, again.stdout
    playing.play(**role)
    playing.play(**role, rscollector_prometheus_targets=[])
    config = host.shell("cat /etc/prometheus/prometheus.yml")
    assert "targets.json" not in config
    assert "*.alerts.yml" in config
    assert "targets.json" not in host.shell("ls /etc/prometheus/rscollector")


@pytest.mark.parametrize("indentation", ["", "    "])
def test_prometheus_is_configured_however_its_file_is_written(playing, indentation):
    """At the margin or far in; labels that are numbers become text."""
    host = playing.host
    given = (
        "global:\n  scrape_interval: 15s\nrule_files:\n# none yet\n"
        f"scrape_configs:   # all\n\n{indentation}- job_name: x\n{indentation}  static_configs: []\n"
    )
    host.put("/etc/prometheus/prometheus.yml", given)
    role = {"role": "rscollector_prometheus", "rscollector_prometheus_labels": {"rack": 12}}
    playing.play(**role, rscollector_prometheus_dashboards="/srv/dashboards")
    again, changed = playing.play(**role, rscollector_prometheus_dashboards="/srv/dashboards")
    assert changed == 0, again.stdout
    found = json.loads(
        host.shell("promtool check service-discovery /etc/prometheus/prometheus.yml rscollector")
    )
    assert [each["labels"]["rack"] for each in found] == ["12"]
    assert host.shell("ls /srv/dashboards").split() == [f"rscollector-{name}.json" for name in DASHBOARDS]


def test_a_prometheus_without_a_place_for_it_is_left_alone(playing):
    """The role says which line it misses, and writes nothing into the file."""
    given = "rule_files: []\nscrape_configs:\n"
    playing.host.put("/etc/prometheus/prometheus.yml", given)
    done, _ = playing.play(role="rscollector_prometheus", check=False)
    assert done.returncode != 0
    assert "has no line `rule_files:`" in done.stdout
    assert playing.host.shell("cat /etc/prometheus/prometheus.yml") == given


def test_the_scenario_of_molecule_is_passed(playing, tmp_path):
    """On a host that it is given, as a contributor would."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "MOLECULE_HOST": playing.name,
        "RSCOLLECTOR_DEB": str(playing.deb),
        "ANSIBLE_SSH_ARGS": f"-F {playing.ssh_config}",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
    }
    # What it writes beside the role is nobody else's business.
    collection = shutil.copytree(ROOT / "ansible", tmp_path / "rscollector")
    done = run("molecule", "test", cwd=collection / "roles" / "rscollector", env=environment)
    assert "1 scenario (1 successful)" in done.stdout + done.stderr
