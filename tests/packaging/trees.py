"""Debian systems in directories. They are kept: whoever uses one writes into a layer of its own, see `hosts`."""

import re
import shlex
import shutil
from hashlib import sha256

from hosts import ROOT, in_tree, run
from kept import kept, this_week

RELEASES = ("bookworm", "trixie")
# What a small server has, and what the tests themselves ask with. No Python.
_SERVER = "systemd,systemd-sysv,dbus,iproute2,procps,curl,ca-certificates"
# The same where Ansible may come, a Prometheus is, and Debian's tests of packages are run.
_MANAGED = f"{_SERVER},openssh-server,python3,python3-apt,prometheus,autopkgtest,dpkg-dev"
# The only source of packages is on the host, so that `apt-get update` works where there is no network.
_OWN_SOURCE = """
mkdir /srv/debian
mv /var/cache/apt/archives/*.deb /srv/debian
cd /srv/debian
dpkg-scanpackages . >Packages
rm -rf /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/debian ./' >/etc/apt/sources.list
apt-get -qq update
"""


def builder(release):
    """Return a tree in which the package can be built, and be looked at."""
    return _tree(release, f"{_build_dependencies()},build-essential,lintian")


def server(release, needs):
    """Return a bare server; what the package needs is in apt's cache, and Postfix."""
    return _tree(release, _SERVER, _fetch(needs))


def managed(release, needs):
    """Return the same with what Ansible and autopkgtest need, and with a Prometheus."""
    more = ("python3-debian", "python3-pytest", "python3-hypothesis")
    return _tree(release, _MANAGED, _fetch(needs, *more) + _OWN_SOURCE)


def prepared(release, needs):
    """Return the same, on which what the package needs is installed."""
    before = managed(release, needs)
    install = f"apt-get -qq -y satisfy {shlex.quote(needs)}"

    def make(path):
        run("cp", "--archive", "--reflink=auto", before, path)
        in_tree(path, "sh", "-ec", install, volatile=False)

    return kept(this_week(), f"{before.name}-prepared", make)


def _tree(release, packages, script=""):
    """Return a Debian with some packages, in which a script was run."""

    def make(path):
        run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", release, path, timeout=600)
        (path / "etc" / "hostname").unlink(missing_ok=True)
        shutil.copy("/etc/resolv.conf", path / "etc" / "resolv.conf")
        if script:
            in_tree(path, "sh", "-ec", script, network=True, volatile=False)

    return kept(this_week(), f"{release}-{sha256((packages + script).encode()).hexdigest()[:16]}", make)


def _fetch(needs, *more):
    fetch = "apt-get -qq -y --download-only"
    names = " ".join(("postfix", "python3-pymongo", *more))
    return f"apt-get -qq update\n{fetch} satisfy {shlex.quote(needs)}\n{fetch} install {names}\n"


def _build_dependencies():
    """Return what debian/control wants for a build, as mmdebstrap wants it."""
    control = (ROOT / "debian" / "control").read_text()
    found = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)[1]
    names = [line.strip().rstrip(",").split()[0] for line in found.splitlines()]
    return ",".join(sorted({name.replace("debhelper-compat", "debhelper") for name in names}))
