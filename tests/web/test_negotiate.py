"""Which format a client gets, and whether it is compressed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.exposition.render import Format
from rscollector.web.negotiate import gzip_wanted, negotiate

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
DRAFT = "application/openmetrics-text; version=0.0.1; charset=utf-8"
OM = "application/openmetrics-text"


PROMETHEUS_3 = (
    f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,{OM};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("image/png", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/*", TEXT),
        (OM, OPEN),
        (f"{OM};version=1.0.0", OPEN),
        (f"{OM}; version=0.0.1", DRAFT),
        ("application/*", OPEN),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", OPEN),
        # What Prometheus 2 and 3 ask for.
        (f"{OM};version=1.0.0;q=0.5,{OM};version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OPEN),
        (PROMETHEUS_3, OPEN),
        (f"text/plain;version=0.0.4;q=0.5,{OM};version=1.0.0;q=0.4", TEXT),  # scrape_protocols, text first
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", TEXT),
        # Refused.
        (f"{OM};q=0", TEXT),
        (f"{OM};q=0.0, */*;q=0.1", TEXT),
        ("text/plain;q=0", OPEN),
        (f"text/plain;q=0.9,{OM};q=0.1", TEXT),
        # Versions that are none, or none of ours: prometheus/client_python#1102.
        ('text/plain;version="0.0.4"', TEXT),
        (f'{OM};version="1.0.0"', OPEN),
        (f'{OM};version="0\\.0.1"', DRAFT),
        ("text/plain;version=1.0.0", TEXT),
        *((f"{OM};version={odd}", OPEN) for odd in ("2.0.0", "99999999999999999999", "1.0.x", "latest", '"')),
        (f"{OM};version=1.0.0-rc1,text/plain;q=0.5", TEXT),
        (f"{OM};version=2.0.0;q=0.9,*/*;q=0.1", OPEN),
        # At the same quality what is named goes before what is meant as well, and the first before the second.
        (f"{OM},*/*", OPEN),
        (f"text/plain,{OM}", TEXT),
        (f"{OM},text/plain", OPEN),
        (f"{OM};q=x", OPEN),
        (f"{OM};q=7, text/plain", OPEN),
        (f"{OM};q=0.12345678x, text/plain;q=0.5", TEXT),
        (f"{OM};q=0.12345678.5, text/plain;q=0.5", TEXT),
        (f"{OM};q=\u0665, text/plain;q=0.5", OPEN),
        ("a," * 30 + OM, TEXT),  # nobody means so many
    ],
)
def test_the_format_is_the_one_that_fits_best(accept, answered):
    """Quality first, then how closely it is named; a version is claimed only where the page has it."""
    wanted, content_type = negotiate(accept)
    assert content_type == answered
    assert content_type.startswith(wanted.value)


@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("deflate;q=0.5, gzip;q=1.0, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0", False),
        ("gzip;q=0.0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.4", True),
        ("identity", False),
        ("identity;q=0, *", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br", False),
        ("notgzip", False),
        ('"gzip"', False),
    ],
)
def test_gzip_is_sent_to_who_wants_it(accept_encoding, wanted):
    """And not to who refuses it: prometheus/client_python#776."""
    assert gzip_wanted(accept_encoding) is wanted


TOKENS = st.lists(
    st.sampled_from(
        [
            OM,
            "text/plain",
            "*/*",
            "gzip",
            "version=1.0.0",
            "version=",
            "q=0.5",
            "q=x",
            "q=",
            "q=0.12345678",
            "٥",
            *';,="\\\té',
        ]
    ),
    max_size=12,
)


@given(TOKENS, st.sampled_from(["", ", ", "; "]))
def test_no_header_is_too_odd(tokens, between):
    """Whatever it says, one of ours is the answer."""
    header = between.join(tokens)
    wanted, content_type = negotiate(header)
    assert (wanted, content_type) in [
        (Format.TEXT, TEXT),
        (Format.OPENMETRICS, OPEN),
        (Format.OPENMETRICS, DRAFT),
    ]
    assert gzip_wanted(header) in (True, False)
