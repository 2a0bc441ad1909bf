"""The package built in each release, and hosts to install it on: made once, they are expensive."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import trees
from hosts import Host, in_tree, run, sources
from kept import kept, until_the_last_leaves
from playing import Playing


@pytest.fixture(scope="session", params=trees.RELEASES)
def release(request):
    """Return the name of a release of Debian."""
    return request.param


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Return a directory that all processes of this run share."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with until_the_last_leaves(place / "packages") as made:
        yield made


def _at_build(place):
    return [f"--bind={place}:/build"]


def _build(place, release):
    sources(place / "rscollector")
    build = "cd /build/rscollector && dpkg-buildpackage -us -uc -b"
    in_tree(trees.builder(release), "sh", "-c", build, binds=_at_build(place))


@pytest.fixture(scope="session")
def build(shared, release):
    """Build the package in clean trees, of all releases at a time; returns the directory with the results of one."""

    def make(path):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: _build(path / each, each), trees.RELEASES))

    return kept(shared, "builds", make) / release


@pytest.fixture(scope="session")
def in_build(build, release):
    """Run a line of shell where the package was built, which is at /build: `in_build(script)`."""
    return lambda script: in_tree(trees.builder(release), "sh", "-c", script, binds=_at_build(build))


@pytest.fixture(scope="session")
def deb(build):
    """Return the package."""
    (found,) = build.glob("*.deb")
    return found


@pytest.fixture(scope="session")
def needs(deb):
    """Return what the package wants to be installed with it, as apt understands it."""
    fields = run("dpkg-deb", "--show", "--showformat=${Depends}, ${Recommends}", deb)
    return fields.stdout


@pytest.fixture(scope="session")
def at_root(deb):
    """Return the option with which a tree has the package in /root."""
    return f"--bind-ro={deb}:/root/rscollector.deb"


@pytest.fixture(scope="session")
def server(release, needs):
    """Return a bare server: what the package depends on is in apt's cache."""
    return trees.server(release, needs)


@pytest.fixture(scope="session")
def installed(shared, server, release, at_root):
    """Return a server on which the package was installed while it was not running."""

    def make(path):
        run("cp", "--archive", "--reflink=auto", server, path)
        install = ("apt-get", "-qq", "-y", "install", "/root/rscollector.deb")
        in_tree(path, *install, binds=[at_root], volatile=False)

    return kept(shared, f"installed-{release}", make)


@pytest.fixture
def boot(at_root):
    """Boot hosts, which have the package in /root: `boot(tree)`."""
    running = []

    def start(tree, *options):
        host = Host(tree, at_root, *options)
        running.append(host)
        host.wait_for_the_boot()
        return host

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def bare(boot, release, needs, tmp_path, deb):
    """Return a host that Ansible may configure, which has nothing yet of what the package needs."""
    return Playing(tmp_path, boot(trees.managed(release, needs)), deb)


@pytest.fixture
def playing(boot, release, needs, tmp_path, deb):
    """Return a host that Ansible may configure, which has what the package needs."""
    return Playing(tmp_path, boot(trees.prepared(release, needs)), deb)
