"""Trees, the package built in each of them, and hosts to install it on: made once, they are expensive."""

import shutil
from itertools import count

import pytest
from hosts import MANAGED, RELEASES, SERVER, Host, build_dependencies, in_tree, make_tree, run, sources
from playing import Playing

_numbers = count()


@pytest.fixture(scope="session", params=RELEASES)
def release(request):
    """Return the name of a release of Debian."""
    return request.param


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """Make trees when they are first asked for: `trees(release, packages)`."""
    made = {}
    place = tmp_path_factory.mktemp("trees")

    def tree(release, packages):
        key = release, packages
        if key not in made:
            made[key] = make_tree(place / f"{release}-{len(made)}", release, packages)
        return made[key]

    yield tree
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def build(trees, release):
    """Build the package in a clean tree; returns the directory with the results, and the build's log in `log`."""
    tree = trees(release, f"{build_dependencies()},build-essential,lintian")
    place = tree / "build"
    place.mkdir()
    sources(place / "rscollector")
    done = in_tree(tree, "sh", "-c", "cd /build/rscollector && dpkg-buildpackage -us -uc -b")
    (place / "log").write_text(done.stdout + done.stderr)
    return place


@pytest.fixture(scope="session")
def deb(build):
    """Return the package."""
    (found,) = build.glob("*.deb")
    return found


def _with_cache(tree, deb, *more):
    """Put the package into /root of a tree, and what it depends on, and Postfix and more, into apt's cache."""
    shutil.copy(deb, tree / "root" / "rscollector.deb")
    fetch = "apt-get -qq -y --download-only install"
    wanted = " ".join(["postfix", "python3-pymongo", *more])
    script = f"apt-get -qq update && {fetch} /root/rscollector.deb && {fetch} {wanted}"
    in_tree(tree, "sh", "-c", script, network=True)
    return tree


@pytest.fixture(scope="session")
def server(trees, release, deb):
    """Return a bare server: the package is in /root, what it depends on in apt's cache."""
    return _with_cache(trees(release, SERVER), deb)


@pytest.fixture(scope="session")
def managed(trees, release, deb):
    """Return the same with what Ansible and autopkgtest need, and with a Prometheus."""
    needed = ("python3-debian", "python3-pytest", "python3-hypothesis")
    tree = _with_cache(trees(release, MANAGED), deb, *needed)
    # Its only source of packages is on it, so that `apt-get update` works where there is no network.
    in_tree(
        tree,
        "sh",
        "-c",
        "set -e; mkdir /srv/debian; mv /var/cache/apt/archives/*.deb /srv/debian; cd /srv/debian; "
        "dpkg-scanpackages . >Packages; rm -rf /etc/apt/sources.list.d/*; "
        "echo 'deb [trusted=yes] file:/srv/debian ./' >/etc/apt/sources.list; apt-get -qq update",
    )
    return tree


@pytest.fixture(scope="session")
def installed(server):
    """Return a server on which the package was installed while it was not running."""
    tree = server.with_name(f"{server.name}-installed")
    run("cp", "--archive", "--reflink=auto", server, tree)
    in_tree(tree, "apt-get", "-qq", "-y", "install", "/root/rscollector.deb")
    return tree


@pytest.fixture
def boot():
    """Boot hosts: `boot(tree)`."""
    running = []

    def start(tree, *options):
        host = Host(tree, f"host-{next(_numbers)}", *options)
        running.append(host)
        return host

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def playing(boot, managed, tmp_path, deb):
    """Return a host that Ansible may configure."""
    host = boot(managed)
    return Playing(tmp_path, host, deb)
