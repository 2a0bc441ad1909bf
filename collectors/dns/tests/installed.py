"""The collector as if it were installed: an agent that a test starts finds it, whatever the environment has."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def search_path(directory):
    """Write the metadata of a package into a directory; return the PYTHONPATH with which they are found."""
    package = directory / "rscollector_dns-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rscollector-dns\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[rscollector.collectors]\ndns = collectors.dns:Dns\n")
    return f"{ROOT}:{directory}"
