"""What changes while a page is open: rows that become others, an agent that is away, somebody who is reading."""

import pytest
from bad_night import STACK, Face, told
from harness import free_port, until
from rogues import AGENT, rogue

pytestmark = pytest.mark.needs("node", "npm", "chromium")
TEXT = "return await page.innerText(where)"
LATER = "await page.clock.runFor(5000); return await page.innerText(where)"
SAID = "await page.clock.runFor(5000); return (await page.locator('#said').allInnerTexts()).join()"
STATES = """return await page.locator("tbody tr").evaluateAll(
    rows => rows.map(row => [row.id, row.querySelector("strong").innerText]))"""


def row(key):
    """Return where the row of a collector is."""
    return f'[id="{key}"]'


@pytest.fixture
def pair(browser, serve):
    """A page with two collectors, one of which has hung, whose clock goes on when it is told."""
    served = serve(Face())
    served.face.collectors = [told("a/hung", "down", trouble="hang", last_stack=STACK), told("b/well")]
    browser.open(served.url, clock=True)
    return served


def test_a_row_that_changes_is_exchanged_and_no_other(browser, pair):
    """The worst comes first then; what has not changed is the same element as before, and the title says what is wrong."""
    mark = "await page.evaluate(() => { for (const each of document.querySelectorAll('[id]')) each.mine = true })"
    browser.run(mark)
    pair.face.collectors = [
        told("a/hung", "down", trouble="hang", last_stack=STACK),
        told("b/well", "removed", reason="gone"),
        told("c/new"),
    ]
    until(lambda: "gone" in browser.run(LATER, where=row("b/well")))
    assert browser.run(STATES) == [["b/well", "removed"], ["a/hung", "down"], ["c/new", "up"]]
    same = (
        "return await page.evaluate(() => [...document.querySelectorAll('tr[id]')].map(each => !!each.mine))"
    )
    assert browser.run(same) == [False, True, False]
    assert browser.run("return await page.title()") == "Wrong: 2 · rscollector on db1.example"
    pair.face.collectors = [told("b/well")]
    until(lambda: browser.run(LATER, where="tbody") and browser.run(STATES) == [["b/well", "up"]])
    assert "Nothing is wrong." in browser.run(TEXT, where="main")
    assert browser.run("return seen.messages") == []


def test_news_come_by_themselves(browser, pair):
    """A stream of events says that there are some: nobody waits for the next look, and a second time either."""
    for reason in ("first", "second"):
        pair.face.collectors = [told("b/well", "down", reason=reason)]
        pair.face.news.append("b/well")
        until(lambda reason=reason: reason in browser.run(TEXT, where="tbody"))
    streams = browser.run("return seen.requests.filter(each => each.includes('events'))")
    assert streams == [f"{pair.url}api/v1/events?since=1790000000-0"]
    assert browser.run("return seen.messages") == []


def test_a_page_that_nobody_sees_asks_for_nothing(browser, pair):
    """It holds no place among the streams; when it is seen again it is as new as any, and reads on where it was."""
    seen = """Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))"""
    show = f"await page.evaluate(hidden => {{ {seen} }}, hidden)"
    count = "await page.clock.runFor(20000); return seen.requests.length"
    pair.face.news.append("b/well")
    until(lambda: "b/well" in browser.run(TEXT, where="tbody"))
    browser.run(show, hidden=True)
    before = until(lambda: browser.run(count))
    pair.face.collectors = [told("b/well", "down", reason="unseen")]
    pair.face.news.append("b/well")
    assert browser.run(count) == before
    browser.run(show, hidden=False)
    until(lambda: "unseen" in browser.run(LATER, where="tbody"))
    streams = browser.run("return seen.requests.filter(each => each.includes('events'))")
    assert streams[0] == f"{pair.url}api/v1/events?since=1790000000-0"
    assert len(streams) == 2


def test_who_reads_a_stack_goes_on_reading(browser, pair):
    """What somebody has opened stays open and has the focus still, wherever its row is now; what was closed stays closed."""
    browser.run("await page.focus('summary'); await page.keyboard.press('Enter')")
    pair.face.collectors = [
        told("a/hung", "down", reason="still", trouble="hang", last_stack=STACK),
        told("b/well", "removed"),
    ]
    until(lambda: "still" in browser.run(LATER, where=row("a/hung")))
    assert browser.run("return await page.locator('details[open]').count()") == 1
    assert browser.run("return await page.evaluate(() => document.activeElement.localName)") == "summary"
    browser.run("await page.focus('details pre')")
    pair.face.collectors = [told("a/hung", "removed", trouble="hang", last_stack=STACK), told("b/well")]
    until(lambda: "removed" in browser.run(LATER, where=row("a/hung")))
    assert browser.run("return await page.evaluate(() => document.activeElement.innerText)").startswith(
        "Thread"
    )
    browser.run("await page.click('summary')")
    pair.face.collectors = [told("a/hung", "down", reason="now", trouble="hang", last_stack=STACK)]
    until(lambda: "now" in browser.run(LATER, where=row("a/hung")))
    assert browser.run("return await page.locator('details[open]').count()") == 0


def test_the_page_says_how_old_it_is_while_the_agent_does_not_answer(browser, pair, shown):
    """In minutes, with the time of what it shows; and no more when the agent is back."""
    pair.stop()
    said = until(lambda: browser.run(SAID))
    assert said.startswith("The agent does not answer. This is what it said at ")
    assert said.endswith(", less than a minute ago.")
    browser.run("await page.clock.runFor(120000)")
    until(lambda: browser.run(SAID).endswith(", 2 min ago."))
    assert browser.run("return await axe()") == []
    shown("away")
    assert "a/hung" in browser.run(TEXT, where="tbody")
    pair.face.collectors = [told("b/well")]
    pair.start()
    until(lambda: browser.run(SAID) == "")
    assert browser.run(STATES) == [["b/well", "up"]]


def test_the_page_of_somebody_else_is_not_the_agents(browser, pair):
    """A proxy's login, with whatever status it comes, is no news of the agent."""
    for status in (200, 404, 502):
        answer = "await page.route('**/*', each => each.fulfill({ status, contentType: 'text/html', body: '<h1>Log in</h1>' }))"
        browser.run(answer, status=status)
        says = f"Something else than this page came, with status {status}. "
        until(lambda says=says: browser.run(SAID).startswith(says))
        assert "a/hung" in browser.run(TEXT, where="tbody")
        browser.run("await page.unroute('**/*')")
        until(lambda: browser.run(SAID) == "")


def test_a_text_that_is_selected_stays_and_the_page_says_that_it_stands_still(browser, pair):
    """Somebody is copying it."""
    browser.run(
        "await page.evaluate(() => getSelection().selectAllChildren(document.querySelector('tbody')))"
    )
    pair.face.collectors = [told("b/well", "down", reason="news")]
    until(lambda: browser.run(SAID) == "This page stands still while text in it is selected.")
    assert "a/hung" in browser.run(TEXT, where="tbody")
    browser.run("await page.evaluate(() => getSelection().removeAllRanges())")
    until(lambda: "news" in browser.run(LATER, where="tbody"))


def test_a_collector_that_is_taken_away_is_missed_on_its_page(browser, serve):
    """And is shown again when it has come back; what it says in words is there as soon as it has said it."""
    served = serve(Face())
    served.face.collectors, served.face.more = [told("a/one")], {"explained": None}
    browser.open(f"{served.url}collectors/a/one", clock=True)
    assert "Its next run will say how it is: in 11 s." in browser.run(TEXT, where="#explained")
    served.face.more = {}
    until(lambda: "a cluster of 3" in browser.run(LATER, where="#explained"))
    served.face.collectors = []
    until(lambda: "There is no a/one here" in browser.run(LATER, where="main"))
    served.face.collectors = [told("a/one")]
    until(lambda: "a cluster of 3" in browser.run(LATER, where="main"))


def test_a_real_agent_whose_collectors_fail_hang_and_recover(browser, agent, tmp_path, shown):
    """Each row becomes what its collector is, and a hang brings its stack, while nobody touches the page."""
    fails, hangs = tmp_path / "fails", tmp_path / "hangs"
    port = free_port()
    toml = AGENT.replace("listen = []", f'listen = ["127.0.0.1:{port}"]')
    toml += rogue("unavailable", "failing", once=f'"{fails}"') + rogue(
        "hang", "hanging", once=f'"{hangs}"', max_hangs=1000
    )
    agent(toml)
    browser.open(f"http://127.0.0.1:{port}/")
    wait = "await page.locator(where).filter({ hasText: text }).waitFor()"
    for key in ("rogue/failing", "rogue/hanging"):
        browser.run(wait, where=f"{row(key)} strong", text="up")
    fails.touch()
    browser.run(wait, where=row("rogue/failing"), text="the server does not like us")
    hangs.touch()
    browser.run(wait, where=row("rogue/hanging"), text="Where it hung")
    assert browser.run("return await page.locator('tbody .bad').count()") == 2
    shown("agent-in-trouble")
    browser.run("await page.locator('summary').first().click()")
    assert "_hang" in browser.run(TEXT, where="details[open] pre")
    fails.unlink()
    hangs.unlink()
    for key in ("rogue/failing", "rogue/hanging"):
        browser.run(wait, where=f"{row(key)} strong", text="up")
    browser.run(wait, where="#found", text="Nothing is wrong.")
    seen = browser.run("return seen")
    assert seen["messages"] == []
    assert {url.split("/")[2] for url in seen["requests"]} == {f"127.0.0.1:{port}"}


def test_the_page_of_a_collector_of_a_real_agent(browser, agent, tmp_path, shown):
    """Its settings and where they are from, its metrics, what it said, its history and its stack, as they are."""
    port, hangs = free_port(), tmp_path / "hangs"
    toml = AGENT.replace("listen = []", f'listen = ["127.0.0.1:{port}"]')
    host = '[collector.host.main]\ninterval = "2s"\ntimeout = "20s"\n'
    started = agent(toml + rogue("hang", once=f'"{hangs}"', max_hangs=1000) + host)
    browser.open(f"http://127.0.0.1:{port}/collectors/host/main")
    browser.run("await page.locator('#explained time').waitFor()")
    assert "/proc" in browser.run(TEXT, where="#explained")
    shown("agent-host")
    browser.open(f"http://127.0.0.1:{port}/collectors/rogue/bad")
    browser.run(
        "await page.locator('#settings summary').click(); await page.locator('#metrics summary').click()"
    )
    text = browser.run(TEXT, where="main")
    assert f"{hangs} {started.config}:" in text
    assert "rogue_runs_total\ncounter\nHow often it was asked." in text
    assert "rogue_password" not in text
    hangs.touch()
    browser.run("await page.locator('#stack pre').filter({ hasText: '_hang' }).waitFor()")
    assert "up" in browser.run(TEXT, where="#history")
    shown("agent-hung")
    hangs.unlink()
    browser.run("await page.locator('#head .good').waitFor()")
    assert browser.run("return [await axe(), seen.messages]") == [[], []]
