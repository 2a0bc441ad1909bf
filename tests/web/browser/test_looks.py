"""The pages in a real chromium: for every eye, on every screen, by keyboard, and without JavaScript."""

import pytest
from bad_night import Face, told

pytestmark = pytest.mark.needs("node", "npm", "chromium")
LOOKS = {
    "light": {"colorScheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"colorScheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {"colorScheme": "light", "viewport": {"width": 360, "height": 740}},
}
PAGES = {
    "all": "",
    "wrong": "?show=wrong",
    "down": "collectors/galera/main",
    "hung": "collectors/mongodb/shard-1",
    "up": "collectors/host/main",
    "sink": "collectors/bosun/main",
    "none": "collectors/galera/other",
}
OPEN_ALL = """return await page.evaluate(() => {
    const closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
    return closed.length;
})"""
TOO_WIDE = """return await page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > innerWidth;
    const last = wide && [...document.querySelectorAll("*")].filter(
        each => each.getBoundingClientRect().right > innerWidth && !each.closest("pre > *")).pop();
    return wide ? ["wider than the screen: " + (last?.outerHTML ?? "something")] : [];
})"""
LONG = "a" * 240


def looked_at(browser, served, shown, name):
    """Say what is wrong with the page that is open, with all that can be opened in it; keep it, and as it was, too."""
    found = browser.run(TOO_WIDE)
    shown(name)
    if browser.run(OPEN_ALL):
        shown(f"{name}-opened")
    found += browser.run(TOO_WIDE) + browser.run("return await axe()")
    seen = browser.run("return seen")
    return found + seen["messages"] + [url for url in seen["requests"] if not url.startswith(served.url)]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_read_it_everywhere(browser, serve, shown, page, look):
    """axe finds nothing, nothing is wider than the screen, nobody else is asked, and nothing is said on the console."""
    served = serve(Face())
    browser.open(served.url + PAGES[page], **LOOKS[look])
    expected = ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
    assert looked_at(browser, served, shown, f"{page}-{look}") == (expected if page == "none" else [])


@pytest.mark.parametrize("look", LOOKS)
def test_an_agent_in_trouble_says_so_first(browser, serve, shown, look):
    """What it does not do, what it is busy with, and the mistakes of the last reload, before any collector."""
    served = serve(Face())
    served.face.unwell, served.face.unfinished = (
        "its timers are 12 s late",
        "the agent is reading its configuration",
    )
    served.face.mistakes = f"/etc/rscollector/rscollector.toml:12: collector.vip.main.addresses: {LONG}"
    browser.open(served.url, **LOOKS[look])
    assert looked_at(browser, served, shown, f"trouble-{look}") == []
    text = browser.run("return await page.innerText('main')")
    places = [
        text.index(each) for each in ("12 s late", "is reading", "toml:12", "3 of 9 wrong", "galera/main")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("look", ["light", "phone"])
def test_what_is_long_and_without_a_blank_fits(browser, serve, shown, look):
    """A name, a reason, a note, a label: wherever it comes from, nobody has to scroll sideways."""
    served = serve(Face())
    name = LONG[:60]
    long = told(f"vip/{name}", "down", reason=LONG, notes=[f"missing: {LONG}"], last_stack=LONG, worker=name)
    served.face.collectors = [long]
    served.face.more = {"settings": [{"name": LONG, "value": LONG, "file": f"/{LONG}", "line": 1}], "command": LONG,
        "metrics": [{"name": LONG, "type": "gauge", "unit": "", "help": LONG, "samples_left_out": 0,
                     "samples": [{"labels": {LONG: LONG}, "value": 1.0}]}],
        "explained": {"at": 1, "lines": [LONG]}, "logged": [{"at": 1, "level": "error", "text": LONG}]}  # fmt: skip
    for path in ("", f"collectors/vip/{name}"):
        browser.open(served.url + path, **LOOKS[look])
        assert looked_at(browser, served, shown, f"long-{'one' if path else 'all'}-{look}") == []


def test_nothing_is_there_before_anything_is_configured(browser, serve, shown):
    """The page says so, and is whole."""
    served = serve(Face())
    served.face.collectors = []
    browser.open(served.url, **LOOKS["phone"])
    assert looked_at(browser, served, shown, "empty") == []
    assert "No collector is configured." in browser.run("return await page.innerText('main')")


TABBED = """
const wanted = await page.evaluate(() => [...document.querySelectorAll("a, summary, [tabindex]")].filter(
    each => each.checkVisibility()).map(each => each.localName + " " + each.innerText));
const had = [];
for (let at = 0; at < wanted.length; at++) {
    await page.keyboard.press("Tab");
    had.push(await page.evaluate(() => {
        const it = document.activeElement, style = getComputedStyle(it);
        const seen = style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
        return it.localName + " " + it.innerText + (seen ? "" : " (focus not visible)");
    }));
}
return [wanted, had]
"""


@pytest.mark.parametrize("page", ["all", "hung"])
def test_the_keyboard_reaches_everything_in_order(browser, serve, page):
    """Tab goes from top to bottom, one sees where it is, and nothing that can be opened or scrolled is left out."""
    served = serve(Face())
    browser.open(served.url + PAGES[page])
    browser.run(OPEN_ALL)
    wanted, had = browser.run(TABBED)
    assert had == wanted
    assert len(had) > 6


def test_enter_opens_what_has_the_focus(browser, serve):
    """A stack is opened, a collector's page is shown, and a link leads back."""
    served = serve(Face())
    browser.open(served.url)
    browser.run("await page.focus('summary'); await page.keyboard.press('Enter')")
    assert "in _asked" in browser.run("return await page.innerText('details[open] pre')")
    go = "await page.focus(link); await page.keyboard.press('Enter'); await page.waitForURL(url)"
    browser.run(go, link="tbody a", url=f"{served.url}collectors/mongodb/shard-1")
    browser.run(go, link="nav a", url=served.url)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves(browser, serve, motion):
    """Neither for those who have asked for it nor for others."""
    served = serve(Face())
    browser.open(served.url, reducedMotion=motion)
    moving = """return await page.evaluate(() => [...document.querySelectorAll("*")].filter(each => {
        const style = getComputedStyle(each);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0
            || style.scrollBehavior !== "auto";
    }).length + document.getAnimations().length)"""
    assert browser.run(moving) == 0


@pytest.mark.parametrize("look", LOOKS)
def test_without_javascript_nothing_is_missing(browser, serve, shown, look):
    """The same is there, links lead on, what is folded opens, and the page is asked for again by itself."""
    served = serve(Face())
    browser.open(served.url, javaScriptEnabled=False, **LOOKS[look])
    assert browser.run("return await page.locator('tbody tr').count()") == 9
    browser.run("await page.click('summary')")
    assert browser.run("return await page.locator('details[open] pre').isVisible()")
    shown(f"all-{look}-without-javascript")
    browser.run("await page.click('text=Show only these')")
    assert browser.run("return await page.locator('tbody tr').count()") == 3
    browser.run("await page.click('tbody a')")
    shown(f"hung-{look}-without-javascript")
    assert "The stack" in browser.run("return await page.innerText('main')")
    assert browser.run("return (await page.content()).includes('http-equiv=\"refresh\"')")
    assert browser.run("return seen.requests.filter(each => each.endsWith('.js'))") == []
    assert browser.run("return seen.messages") == []


def test_the_picture_in_the_readme(browser, serve, shown):
    """It is the page as it is: `make picture` puts it into docs."""
    browser.open(serve(Face()).url, colorScheme="light", viewport={"width": 1280, "height": 600})
    assert shown("status-page").stat().st_size > 10_000
