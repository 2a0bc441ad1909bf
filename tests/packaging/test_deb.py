"""The Debian package, built in clean systems of each release, and what it does to hosts with a real systemd."""

import re

import pytest
from hosts import is_of_tests, with_file

pytestmark = [
    pytest.mark.needs("mmdebstrap", "systemd-nspawn", "root"),
    pytest.mark.timeout(900),
]


def test_lintian_has_nothing_to_say(in_build):
    """Neither errors nor warnings; what is overridden has its reason beside it."""
    done = in_build("lintian --allow-root --fail-on error,warning /build/*.changes")
    assert [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")] == []


def test_links_between_the_pages_of_the_package_work(in_build, deb):
    """They lie as in the sources; what is not in the package is the Ansible collection."""
    in_build(f"rm -rf /build/x && dpkg-deb --extract /build/{deb.name} /build/x")
    doc = deb.parent / "x" / "usr" / "share" / "doc" / "rscollector"
    pages = sorted(doc.rglob("*.md"))
    assert {"README.md", "docs/deployment.md", "collectors/galera/README.md"} <= {
        str(each.relative_to(doc)) for each in pages
    }
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not link.startswith("../ansible/")
    ]
    assert len(links) > 20
    assert [(str(page), link) for page, link in links if not (page.resolve().parent / link).exists()] == []


def test_the_package_is_small_and_bundles_nothing(in_build, deb):
    """At most 3 MB, about half of it pages, alerts and dashboards; its modules are in a directory of their own; every library is the distribution's."""
    fields = in_build(f"dpkg-deb --field /build/{deb.name}").stdout
    size = next(int(line.split()[1]) for line in fields.splitlines() if line.startswith("Installed-Size"))
    assert size <= 3072
    names = in_build(f"dpkg-deb --fsys-tarfile /build/{deb.name} | tar -t").stdout
    assert "dist-packages" not in names
    below = {
        line.split("/")[4]
        for line in names.splitlines()
        if line.startswith("./usr/share/rscollector/") and line.count("/") > 4
    }
    assert {each for each in below if not each.startswith("rscollector-")} == {
        "rscollector",
        "collectors",
        "prometheus",
        "bosun",
    }
    assert [name for name in names.splitlines() if is_of_tests(name)] == []
    alarms = {f"./usr/share/rscollector/bosun/{name}.conf" for name in with_file("bosun.conf")}
    assert alarms - set(names.splitlines()) == set()
    assert "./usr/share/man/man1/rscollector-spool.1.gz" in names
    assert "./usr/share/man/man5/rscollector.toml.5.gz" in names
    assert "./usr/share/bash-completion/completions/rscollector" in names
