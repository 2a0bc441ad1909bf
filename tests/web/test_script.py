"""The page's script in a real browser, whose time is made to pass: what it shows after some renewals."""

import re
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread

import pytest

pytestmark = pytest.mark.needs("chromium")
SCRIPT = files("rscollector.web").joinpath("templates", "page.js").read_text("utf-8")
PAGE = """<title>t</title><script src=page.js defer></script><main><h1>{}</h1><table><tr id="a/b"><td>
<details><summary>Where it hung</summary><pre tabindex=0>stack</pre></details></table></main>{}"""
LOGIN = "<h1>Log in</h1>"
OPENED = (
    "<script>let it = document.querySelector('summary'); it.click(); it.focus(); document.title = ''</script>"
)
SELECTED = "<script>getSelection().selectAllChildren(document.querySelector('h1'))</script>"
FOCUS = "<script>setInterval(() => document.title = document.activeElement.localName, 100)</script>"


@pytest.fixture
def shown(tmp_path):
    """Return what a browser has in the end that got these pages, the last one again and again; None is an error."""
    servers = []

    def run(*pages):
        waiting = list(pages)

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                """Say nothing."""

            def do_GET(self):
                page = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                script = self.path == "/page.js"
                if script:
                    waiting.insert(0, page)
                text = (SCRIPT if script else page or "").encode()
                self.send_response(200 if text else 503)
                self.send_header("content-type", "text/javascript" if script else "text/html")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        servers.append(server := ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=server.serve_forever, daemon=True).start()
        return subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"),
                *("--virtual-time-budget=22000", "--dump-dom", f"http://127.0.0.1:{server.server_port}/"),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    yield run
    for each in servers:
        each.shutdown()
        each.server_close()


def said(page):
    """Return what the script has written into the page."""
    return re.findall(r'<p id="said"[^>]*>([^<]*)', page)


def test_the_page_goes_on_after_the_agent_was_away(shown):
    """While it restarts the page says so, and then no more; a proxy's login is no page of the agent."""
    assert said(shown(PAGE.format("old", ""), None))[0].startswith("The agent does not answer since ")
    for away in (None, LOGIN):
        page = shown(PAGE.format("old", ""), away, away, PAGE.format("new", ""))
        assert "<h1>new</h1>" in page
        assert said(page) == []


def test_who_has_opened_a_stack_is_shown_news_as_well(shown):
    """What is open stays so, and has the focus still; the rest is exchanged."""
    page = shown(PAGE.format("old", OPENED + FOCUS), PAGE.format("new", ""))
    assert "<h1>new</h1>" in page
    assert '<details open="">' in page
    assert "<title>summary</title>" in page


def test_a_text_that_is_selected_stays_and_the_page_says_that_it_stands_still(shown):
    """Somebody is copying it."""
    page = shown(PAGE.format("old", SELECTED), PAGE.format("new", ""))
    assert "<h1>old</h1>" in page
    assert said(page) == ["This page stands still while text in it is selected."]
