"""The package on hosts with a real systemd: from installation to purge, and what the unit does on the way."""

import re
import subprocess
from pathlib import Path

import pytest
import trustme
from harness import until
from hosts import ROOT, left, seconds, watched

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root"),
    pytest.mark.timeout(900),
]
DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
CONFIG = "/etc/rscollector/rscollector.toml"
BEHIND = '[sink.bosun.main]\nurl = "http://127.0.0.1:1"\nspool_free = 0\n'


def configure(host, more, reload=True):
    """Add to the configuration, as an operator does."""
    host.put("/etc/rscollector/conf.d/more.toml", more)
    host.shell("chgrp -R rscollector /etc/rscollector; chmod 640 /etc/rscollector/conf.d/*")
    if reload:
        host.run("systemctl", "reload", "rscollector")


def test_a_bare_server_is_watched_after_one_command(boot, server, capsys):
    """Nothing has to be configured, and what runs says so."""
    host = boot(server)
    before = host.shell("dpkg -l | grep -c ^ii")

    def install():
        host.run("apt-get", "-qq", "-y", "install", "/root/rscollector.deb")
        watched(host)

    took = seconds(install)
    pulled = int(host.shell("dpkg -l | grep -c ^ii")) - int(before) - 1
    with capsys.disabled():
        print(f"\n{server.name}: {pulled} packages came with it; from apt to the first scrape {took:.1f} s")
    assert f"watching 2 collectors ({CONFIG})" in host.log()
    assert "agent/main" in host.run("rscollector", "status").stdout
    until(lambda: host.show("StatusText") == "2 of 2 collectors up", 40)
    assert host.shell(f"stat -c %U /proc/{host.show('MainPID')}") == "rscollector\n"
    found = host.shell(f"stat -c '%a %U %G' /etc/rscollector /etc/rscollector/conf.d {CONFIG}").splitlines()
    assert found == ["750 root rscollector", "750 root rscollector", "640 root rscollector"]
    host.run("rm", CONFIG)
    host.run("systemctl", "restart", "rscollector")
    watched(host)
    assert "no configuration file, so the built-in one" in host.log()


def test_the_unit_is_right_and_may_little(boot, installed):
    """systemd finds no fault in it, and an exposure of at most 2.0, which is what the page says."""
    host = boot(installed)
    watched(host)
    verified = host.run("systemd-analyze", "verify", "--man=no", "rscollector.service")
    assert verified.stdout + verified.stderr == ""
    told = host.run("systemd-analyze", "security", "--no-pager", "rscollector.service").stdout
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+) ", told)[1]
    assert float(exposure) <= 2.0
    assert f"exposure of {exposure} by" in DEPLOYMENT.read_text()
    assert "Type=notify" in host.run("systemctl", "cat", "rscollector").stdout


LOOK = """
import ctypes, errno, os
os.write(1, f"{os.getuid()} owns me, {os.stat('/home/alice').st_uid} owns /home/alice\\n".encode())
os.write(1, f"of root's first process: {open('/proc/1/comm').read()}".encode())
try:
    open("/home/alice/letter", "w")
except OSError as error:
    os.write(1, f"/home: {errno.errorcode[error.errno]}\\n".encode())
libc = ctypes.CDLL(None, use_errno=True)
clock = ctypes.create_string_buffer(512)
os.write(1, f"clock asked: {libc.adjtimex(clock) >= 0}\\n".encode())
ctypes.c_uint.from_buffer(clock).value = 0x0001
libc.adjtimex(clock)
os.write(1, f"clock set: {errno.errorcode[ctypes.get_errno()]}\\n".encode())
"""


def test_the_unit_lets_it_see_what_it_watches_and_change_nothing(boot, installed):
    """Whose a file is, other users' processes, /home and the clock; homes stay read-only, and the clock as it is."""
    host = boot(installed, "--system-call-filter=adjtimex clock_adjtime")
    host.run("useradd", "--uid", "1234", "--create-home", "alice")
    host.run("chmod", "777", "/home/alice")
    host.put("/usr/local/lib/look.py", LOOK)
    drop_in = "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\n"
    drop_in += "ExecStart=/usr/bin/python3 -I /usr/local/lib/look.py\n"
    host.put("/etc/systemd/system/look.service.d/look.conf", drop_in)
    host.shell("cp $(systemctl show -P FragmentPath rscollector) /etc/systemd/system/look.service")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "look")

    def told():
        return host.run("journalctl", "-u", "look", "-o", "cat", "-q").stdout

    until(lambda: "clock set:" in told(), 30)  # the journal may be behind
    own = host.shell("id -u rscollector").strip()
    for line in (
        f"{own} owns me, 1234 owns /home/alice",
        "of root's first process: systemd",
        "/home: EROFS",
        "clock asked: True",
        "clock set: EPERM",
    ):
        assert line in told().splitlines()


WATCHING = """
[agent]
interval = "2s"
timeout = "1500ms"
[collector.vip.moves]
addresses = ["192.0.2.77"]
[collector.filesystem.main]
[collector.host.main]
"""


def test_the_unit_lets_it_see_moves_between_ticks_and_a_mount_that_hangs(boot, installed):
    """The kernel's own word on addresses; and a service that starts while a mount hangs tells that one, and all else."""
    host = boot(installed, "--bind=/dev/fuse")
    host.copy(ROOT / "collectors/filesystem/tests/fuse_server.py", "/root/fuse_server.py")
    configure(host, WATCHING)
    until(lambda: 'vip_bound{address="192.0.2.77",name="moves"} 0' in host.fetch(), 30)
    move = "ip address add 192.0.2.77/32 dev lo; ip address del 192.0.2.77/32 dev lo"
    host.shell(f"for each in 1 2 3; do {move}; done")
    until(lambda: 'vip_gained_total{address="192.0.2.77",name="moves"} 3' in host.fetch(), 30)
    assert 'vip_lost_total{address="192.0.2.77",name="moves"} 3' in host.fetch()
    host.run("mkdir", "/mnt/nas")
    serve = ["python3", "/root/fuse_server.py", "nas:/x", "fuse.nas", "user_id=0,allow_other", "/mnt/nas"]
    with subprocess.Popen(
        [*host.enter(), *serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as fuse:
        responds = 'filesystem_responding{mountpoint="/mnt/nas",name="main"}'
        until(lambda: f"{responds} 1" in host.fetch(), 30)
        fuse.stdin.write("withhold\n")
        fuse.stdin.flush()
        until(lambda: f"{responds} 0" in host.fetch(), 30)
        host.run("systemctl", "restart", "rscollector")
        until(lambda: f"{responds} 0" in host.fetch(), 30)
        page = host.fetch()
        for type_ in ("filesystem", "host"):
            assert f'rscollector_collector_up{{name="main",type="{type_}"}} 1' in page
        assert 'host_cpu_seconds_total{mode="idle",name="main"}' in page
        fuse.stdin.write("answer\n")
        fuse.stdin.flush()
        until(lambda: f"{responds} 1" in host.fetch(), 30)
        host.run("umount", "/mnt/nas")
        fuse.stdin.close()
    assert host.show("NRestarts") == "0"


def test_a_reload_with_a_mistake_changes_nothing(boot, installed):
    """The log and the page say what is wrong, and the agent goes on; then a right one is taken."""
    host = boot(installed)
    watched(host)
    pid = host.show("MainPID")
    configure(host, "[collector.vip.second]\nadresses = []\n", reload=False)
    assert host.run("systemctl", "reload", "rscollector", check=False).returncode != 0
    assert "collector.vip.second.adresses" in host.run("rscollector", "status", check=False).stdout
    until(lambda: "rscollector_config_last_reload_successful 0" in host.fetch(), 30)
    assert "conf.d/more.toml:2: collector.vip.second.adresses" in host.log()
    assert 'name="second"' not in host.fetch()
    assert "conf.d/more.toml:2" in host.run("rscollector", "check", check=False).stderr
    configure(host, "[collector.vip.second]\naddresses = []\n")
    until(lambda: 'rscollector_collector_up{name="second",type="vip"} 1' in host.fetch(), 30)
    assert host.show("MainPID") == pid


def test_a_start_with_a_mistake_is_not_tried_for_ever(boot, installed):
    """It cannot become right by itself: the unit is failed, its log has the sentence, and a start mends it."""
    host = boot(installed)
    watched(host)
    configure(host, "[collector.vip.second]\nadresses = []\n", reload=False)
    host.run("systemctl", "restart", "rscollector", check=False)
    until(lambda: host.show("ActiveState") == "failed", 30)
    assert host.show("NRestarts") == "0"
    assert "conf.d/more.toml:2: collector.vip.second.adresses" in host.log()
    configure(host, "", reload=False)
    host.run("systemctl", "start", "rscollector")
    watched(host)


def test_root_is_told_what_the_services_user_may_not_read(boot, installed):
    """A check that says OK to root and fails at three in the morning is none."""
    host = boot(installed)
    watched(host)
    secret = 'password = { file = "/etc/rscollector/secret" }\n'
    configure(host, f'[sink.bosun.main]\nurl = "http://127.0.0.1:1"\nuser = "x"\n{secret}', reload=False)
    host.shell("umask 077; echo hush >/etc/rscollector/secret")
    told = host.run("rscollector", "check", check=False)
    assert told.returncode == 2
    assert "as user rscollector: " in told.stderr
    assert "the secret in /etc/rscollector/secret cannot be read: Permission denied" in told.stderr
    assert "chgrp rscollector FILE && chmod 640 FILE" in told.stderr
    host.shell("chgrp rscollector /etc/rscollector/secret && chmod 640 /etc/rscollector/secret")
    told = host.run("rscollector", "check")
    assert "as user rscollector" not in told.stderr


def test_what_is_killed_or_hangs_comes_back(boot, installed):
    """A worker by the agent, the agent by systemd, a loop that stands still by the watchdog."""
    host = boot(installed)
    watched(host)
    host.put(
        "/etc/systemd/system/rscollector.service.d/quick.conf", "[Service]\nWatchdogSec=2\nRestartSec=100ms\n"
    )
    host.shell("systemctl daemon-reload; systemctl restart rscollector")
    watched(host)
    pid = host.show("MainPID")
    host.run("pkill", "-KILL", "-f", "[r]scollector.worker")
    until(lambda: "was killed by SIGKILL" in host.log())
    watched(host)
    assert host.show("MainPID") == pid
    host.run("kill", "-KILL", pid)
    until(lambda: host.show("NRestarts") == "1")
    watched(host)
    host.run("kill", "-STOP", host.show("MainPID"))
    until(lambda: host.show("NRestarts") == "2", 30)
    watched(host)
    assert "watchdog" in host.log().lower()


def test_a_stop_takes_seconds_and_leaves_no_process(boot, installed):
    """Also with a sink whose receiver is not there."""
    host = boot(installed)
    watched(host)
    configure(host, BEHIND)
    until(lambda: re.search(r"^sink_queued_points\{[^}]*\} [1-9]", host.fetch(), re.MULTILINE), 60)
    assert seconds(lambda: host.run("systemctl", "stop", "rscollector")) < 15
    assert host.show("Result") == "success"
    assert host.run("pgrep", "-u", "rscollector", check=False).stdout == ""
    assert host.shell("rscollector spool list").count('"sink": "bosun/main"') >= 1


def test_a_removal_keeps_the_configuration_and_a_purge_leaves_nothing(boot, installed):
    """No file, no user, no group, no process; what came with it may be removed by apt."""
    host = boot(installed)
    watched(host)
    host.run("dpkg", "--purge", "rscollector")
    before = left(host)
    host.run("dpkg", "--install", "/root/rscollector.deb")
    watched(host)
    configure(host, BEHIND)
    until(lambda: host.shell("rscollector spool list"), 30)
    host.run("dpkg", "--remove", "rscollector")
    assert host.run("pgrep", "-u", "rscollector", check=False).stdout == ""
    assert host.shell(f"ls {CONFIG} /etc/rscollector/conf.d /var/lib/rscollector/bosun").count("main") == 1
    host.run("dpkg", "--install", "/root/rscollector.deb")
    watched(host)
    assert "bosun/main" in host.shell("rscollector spool list")
    host.run("dpkg", "--remove", "rscollector")
    host.shell(f"rm -r {CONFIG} /etc/rscollector/conf.d")
    host.run("dpkg", "--install", "--force-confmiss", "/root/rscollector.deb")
    watched(host)
    host.run("dpkg", "--purge", "rscollector")
    assert left(host) - before == set()
    assert [line for line in left(host) if "rscollector" in line] == []
    assert host.run("getent", "passwd", "rscollector", check=False).stdout == ""
    assert host.run("getent", "group", "rscollector", check=False).stdout == ""


def test_a_driver_that_is_not_installed_is_named(boot, installed):
    """In a sentence, with the package that has it."""
    host = boot(installed)
    watched(host)
    host.run("apt-get", "-qq", "-y", "remove", "python3-pymongo")
    configure(host, '[collector.mongodb.main]\nhost = "127.0.0.1"\n', reload=False)
    host.run("systemctl", "reload", "rscollector")
    told = host.run("rscollector", "check", check=False)
    assert "python3-pymongo" in told.stderr
    assert "Traceback" not in told.stderr + host.log()


HASH = "$2b$04$dqz4uqrsxZnk/t0W9EWS0euOvOURbN/Hd3wS4Gpm8FbLvBToBpNHC"


def test_passwords_that_cannot_be_checked_are_named(boot, installed):
    """Without bcrypt, users are a mistake to a check and a reload, and who comes later is told; with it they come in."""
    host = boot(installed)
    watched(host)

    def asked(*options):
        command = (
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            *options,
            "http://127.0.0.1:10070/metrics",
        )
        return host.run(*command).stdout

    who = ("--user", "prometheus:secret")
    host.run("apt-get", "-qq", "-y", "remove", "python3-bcrypt")
    host.put("/etc/rscollector/web-config.yml", f"basic_auth_users:\n  prometheus: {HASH}\n")
    configure(host, '[web]\nconfig_file = "web-config.yml"\n', reload=False)
    told = host.run("rscollector", "check", check=False)
    missing = "passwords need Debian's package python3-bcrypt (pip: bcrypt), which is not installed"
    assert (told.returncode, told.stderr.count(missing)) == (2, 1)
    assert host.run("systemctl", "reload", "rscollector", check=False).returncode != 0
    until(lambda: missing in host.log(), 30)
    assert asked() == "200"
    host.run("apt-get", "-qq", "-y", "install", "python3-bcrypt")
    host.run("systemctl", "reload", "rscollector")
    host.run("apt-get", "-qq", "-y", "remove", "python3-bcrypt")
    assert (asked(), asked(*who)) == ("401", "503")
    until(lambda: "passwords cannot be checked, so nobody comes in" in host.log(), 30)
    assert "install python3-bcrypt" in host.log()
    host.run("apt-get", "-qq", "-y", "install", "python3-bcrypt")
    assert asked(*who) == "200"


# Megabytes, with the libraries of each: bcrypt of Debian 12 brings cffi with it.
LOCK_COSTS = {"bookworm": 8, "trixie": 4}


def test_a_lock_costs_little_memory(boot, installed, release, capsys):
    """TLS and a user who is in, beside an agent that everybody may ask; of the agent itself, its workers have none."""
    host = boot(installed)
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    host.put("/root/ca.crt", authority.cert_pem.bytes().decode())
    host.put("/etc/rscollector/server.pem", made.private_key_and_cert_chain_pem.bytes().decode())
    host.put(
        "/etc/rscollector/web-config.yml",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.pem\n"
        f"basic_auth_users:\n  prometheus: {HASH}\n",
    )
    ask = "curl -fs --cacert /root/ca.crt --user prometheus:secret"

    def resident(url):
        """Return the kilobytes that the agent has in memory after it was started and scraped."""
        host.run("systemctl", "restart", "rscollector")
        for _ in range(3):
            until(
                lambda: '_up{name="main",type="agent"} 1' in host.shell(f"{ask} {url}/metrics", check=False),
                30,
            )
        rollup = host.shell(f"cat /proc/{host.show('MainPID')}/smaps_rollup")
        return int(re.search(r"^Rss: +(\d+) kB", rollup, re.MULTILINE)[1])

    watched(host)
    without = resident("http://127.0.0.1:10070")
    configure(host, '[web]\nconfig_file = "web-config.yml"\n', reload=False)
    more = (resident("https://127.0.0.1:10070") - without) / 1000
    with capsys.disabled():
        print(f"\n{release}: {without / 1000:.1f} MB of an agent, {more:.1f} MB more with TLS and a user")
    assert 0 < more < LOCK_COSTS[release]


def test_a_postfix_that_comes_later_is_watched_without_root(boot, installed):
    """Its group is joined, and the journal's: queues and flow are read by a user who is nobody else."""
    host = boot(installed)
    watched(host)
    host.shell("echo postfix postfix/main_mailer_type select Local only | debconf-set-selections")
    host.run("apt-get", "-qq", "-y", "install", "postfix")
    host.run("systemctl", "start", "postfix")
    assert {"postdrop", "systemd-journal"} <= set(host.shell("id -nG rscollector").split())
    configure(host, "[collector.postfix.main]\n")
    until(lambda: 'postfix_queue_messages{name="main",queue="deferred"} 0' in host.fetch(), 30)
    until(lambda: 'postfix_log_readable{name="main"} 1' in host.fetch(), 30)
    host.shell("echo hello | sendmail -f root root")
    until(lambda: "postfix_deliveries_total" in host.fetch(), 60)
    assert 'queue="corrupt"' not in host.fetch()
    drop_in = "/etc/systemd/system/rscollector.service.d"
    examples = "/usr/share/doc/rscollector/examples"
    host.shell(
        f"mkdir -p {drop_in}; cp {examples}/postfix-queue-directories.conf {drop_in}; systemctl daemon-reload"
    )
    host.run("systemctl", "restart", "rscollector")
    until(lambda: 'postfix_queue_messages{name="main",queue="corrupt"} 0' in host.fetch(), 30)


def test_a_password_that_only_root_can_read_is_given_by_systemd(boot, installed):
    """As a credential; the example in the documentation works."""
    host = boot(installed)
    watched(host)
    host.put("/etc/rscollector-secrets/galera", "hush\n")
    host.shell(
        "chmod 600 /etc/rscollector-secrets/galera; mkdir -p /etc/systemd/system/rscollector.service.d"
    )
    host.shell(
        "cp /usr/share/doc/rscollector/examples/credentials.conf /etc/systemd/system/rscollector.service.d/"
    )
    host.shell("systemctl daemon-reload")
    more = '[collector.galera.main]\nhost = "127.0.0.1"\nuser = "x"\npassword = { credential = "galera" }\n'
    configure(host, more, reload=False)
    host.run("systemctl", "restart", "rscollector")
    until(lambda: "nobody listens there" in host.run("rscollector", "status", check=False).stdout, 30)
    host.run("systemctl", "reload", "rscollector")
