"""The pages as they are sent, without a browser: what they say, what they load, and what becomes of strange text."""

import re
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from bad_night import Face, known, told

from rscollector.web.html import Html

PAGES = (
    "",
    "?show=wrong",
    "collectors/galera/main",
    "collectors/mongodb/shard-1",
    "collectors/bosun/main",
    "collectors/a/b",
)
NOW = 1_800_000_000.0


def get(url, method="GET"):
    """Return status, headers and text."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


class Outline(HTMLParser):
    """What of a page can be checked where axe cannot run."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.headings, self.wrong = [], [], [], []
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag, given):
        """Take note of ids, headings and what is open."""
        attributes = dict(given)
        self.ids += filter(None, [attributes.get("id")])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg" and not attributes.get("aria-label"):
            self.wrong.append("a picture without words")
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, given):
        """Pass over what ends at once."""

    def handle_endtag(self, tag):
        """Whatever is opened is closed, in order."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


@pytest.mark.parametrize("page", PAGES)
def test_the_html_is_in_order(serve, page):
    """Each id is there once, headings go down by one, what is opened is closed, and a picture says what it shows."""
    outline = Outline(get(serve(Face()).url + page)[2])
    assert outline.wrong == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.headings[0] == 1
    assert all(
        after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False)
    )


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_whole_by_itself_and_under_a_prefix(serve, page):
    """All that it loads or leads to is relative and there; a browser is told to take nothing else."""
    served = serve(Face())
    _, headers, text = get(served.url + page)
    assert headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'; script-src 'self'; "
    )
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert f'data-since="{served.face.event_id()}"' in text
    assert not re.search(r'style=| on[a-z]+="|<script>', text)
    for place in set(re.findall(r'(?:src|href)="([^"]*)"', text)) - {"data:,"}:
        assert not re.match(r"/|\w+:", place)
        assert get(urljoin(served.url + page, place))[0] == 200


@pytest.mark.parametrize(
    "path", ["galera/other", "x/y", "%3Cb%3E/%22", "..%2f..", "%00%E2%80%AE/%0d%1b", "a/" + "b" * 3000]
)
def test_a_collector_that_there_is_not_is_404_in_words_with_a_way_back(serve, path):
    """However strange its name is: it stays text."""
    status, headers, text = get(f"{serve(Face()).url}collectors/{path}")
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert re.search(r"There is no .+ here", text)
    assert '<a href="../../">All collectors</a>' in text
    assert "<b>" not in text
    assert not re.search("[\0\r\x1b\u202e]", text)
    assert len(text) < 2000


def test_while_the_agent_ends_a_collector_that_there_is_not_may_have_ended(serve):
    """Neither the page of all nor its own says that it is not configured."""
    face = Face()
    face.collectors, face.unfinished = [], "the agent is stopping"
    url = serve(face).url
    assert "It may have ended already: the agent is stopping." in get(f"{url}collectors/a/b")[2]
    assert "No collector runs: the agent is stopping." in get(url)[2]


@pytest.mark.parametrize("more", [{"mistakes": "line 3: no"}, {"unwell": "the agent's timers are 9 s late"}])
def test_an_agent_that_is_wrong_says_so_in_the_title_and_nowhere_the_opposite(serve, more):
    """A failed reload was once seen in the log only: prometheus/prometheus#814."""
    face = Face()
    face.collectors = [told("a/b")]
    vars(face).update(more)
    for page in ("", "?show=wrong"):
        text = get(serve(face).url + page)[2]
        assert "<title>Wrong: the agent · rscollector on db1.example</title>" in text
        assert "Nothing is wrong." not in text
        assert "Nothing is wrong with the collectors." in text


def test_head_sends_what_get_sends_but_the_page(serve):
    """Also of a collector that there is not."""
    url = serve(Face()).url
    assert [get(f"{url}collectors/{path}", "HEAD")[::2] for path in ("galera/main", "a/b")] == [
        (200, ""),
        (404, ""),
    ]


def test_whatever_a_collector_says_stays_text():
    """Reasons, notes, lines, labels, settings come from other programs."""
    evil = "<script>alert(1)</script>"
    each = told("a/b", "down", reason=evil, notes=[evil], trouble="hang", last_stack=evil, worker=evil)
    page = Html().collector(
        known(each)
        | {
            "settings": [{"name": evil, "value": evil, "file": evil, "line": 1}],
            "metrics": [{"name": evil, "type": evil, "unit": evil, "help": evil, "samples_left_out": 0,
                         "samples": [{"labels": {evil: evil}, "value": evil}]}],
            "history": [{"at": NOW, "condition": evil, "reason": evil, "lasted_seconds": None}],
            "logged": [{"at": NOW, "level": evil, "text": evil}],
            "explained": {"at": NOW, "lines": [evil]},
            "alerts": [{"alert": evil, "severity": evil, "for": evil, "summary": evil, "description": evil}],
            "command": evil,
        },
        NOW,
        "1-2",
    )  # fmt: skip
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") > 20


def test_what_there_is_not_is_left_out_or_has_a_word():
    """A collector that has just begun: nothing is empty without a word, and no heading stands for nothing."""
    bare = known(told("a/b", "starting", since=1, minutes=[None] * 60)) | {
        "settings": [], "metrics": [], "history": [], "logged": [], "logged_in_shared_worker": [], "alerts": [],
        "explained": {"at": NOW, "lines": []}, "command": "",
    }  # fmt: skip
    page = Html().collector(bare, NOW, "1-2")
    assert re.findall(r"<h2>(.*)</h2>\n", page) == [
        "Its runs",
        "What it logged",
        "What it was",
        "Settings",
        "Alerts",
        "Metrics",
    ]
    assert re.findall(r'<p class="sub">(\w+.*)</p>', page) == [
        "nothing in its last runs",
        "nothing else so far",
        "none",
        "none",
        "none now",
    ]
    assert "<details" not in page
