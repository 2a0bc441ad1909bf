"""Pages that are made once for all, and held in a bounded number."""

import asyncio
from contextlib import suppress

import pytest

from rscollector.web.pages import Page, PageResponse, Pages


class Maker:
    """Makes pages that can be told apart, when the test lets it."""

    def __init__(self):
        self.made = 0
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self):
        """Return the next page."""
        self.made += 1
        number = self.made
        await self.may.wait()
        return [b"page ", str(number).encode()]


def told(page):
    """Return what stands on a page."""
    return b"".join(page.parts).decode()


def test_those_who_ask_in_the_same_moment_get_the_same_page():
    """Also those who come while it is being made."""

    async def main():
        pages, make = Pages(4), Maker()
        make.may.clear()
        asking = [asyncio.create_task(pages.get("text", 60, make)) for _ in range(100)]
        await asyncio.sleep(0)
        make.may.set()
        return {told(page) for page in await asyncio.gather(*asking)}, make.made

    assert asyncio.run(main()) == ({"page 1"}, 1)


def test_a_page_that_is_too_old_is_made_anew():
    """Whoever asks later than that gets a new one, each kind its own."""

    async def main():
        pages, make = Pages(4), Maker()
        seen = [told(await pages.get(kind, fresh, make)) for kind, fresh in (("a", 0), ("a", 0), ("b", 60))]
        return [*seen, told(await pages.get("b", 60, make))]

    assert asyncio.run(main()) == ["page 1", "page 2", "page 3", "page 3"]


def test_who_reads_a_page_that_is_held_no_longer_is_cut():
    """The fifth page takes the first one's place; those who read the others go on."""

    async def main():
        pages, make = Pages(4), Maker()
        blocked = asyncio.Event()

        async def send(_message):
            await blocked.wait()

        readers = []
        for kind in "abcd":
            response = PageResponse(await pages.get(kind, 60, make), {})
            readers.append(asyncio.create_task(response({}, None, send)))
            await asyncio.sleep(0)
        await pages.get("e", 60, make)
        await asyncio.sleep(0)
        cut = [reader.cancelled() for reader in readers]
        blocked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*readers)
        return cut

    assert asyncio.run(main()) == [True, False, False, False]


def test_a_page_that_is_dropped_is_made_again_for_who_asks():
    """Of a kind that nobody has asked for long, nothing is kept."""

    async def main():
        pages, make = Pages(2), Maker()
        await pages.get("a", 60, make)
        await pages.get("b", 60, make)
        await pages.get("c", 60, make)
        return told(await pages.get("a", 60, make)), len(pages._held)

    assert asyncio.run(main()) == ("page 4", 2)


def test_one_that_cannot_be_made_fails_for_all_who_ask_and_is_tried_again():
    """A fault of ours is not kept for ever."""

    async def main():
        pages = Pages(2)

        async def wrong():
            raise ValueError("wrong")

        for _ in range(2):
            with pytest.raises(ValueError, match="wrong"):
                await pages.get("a", 60, wrong)
        return told(await pages.get("a", 0, Maker()))

    assert asyncio.run(main()) == "page 1"


def test_a_reader_that_has_all_is_no_reader_any_more():
    """Nothing of it is left with the page."""

    async def main():
        page, sent = Page([b"a", b"bc"]), []

        async def send(message):
            sent.append(message)

        await PageResponse(page, {"x": "y"})({}, None, send)
        return sent, page.readers

    sent, readers = asyncio.run(main())
    assert readers == set()
    assert (b"content-length", b"3") in sent[0]["headers"]
    assert b"".join(each["body"] for each in sent[1:]) == b"abc"
    assert [each.get("more_body", False) for each in sent[1:]] == [True, True, False]


def test_a_page_that_nobody_needs_any_more_goes_before_one_that_is_read():
    """Other formats, asked for now and then, do not cut who reads slowly."""

    async def main():
        pages, make = Pages(2), Maker()
        old = await pages.get("a", 60, make)
        old.readers.add(reader := asyncio.create_task(asyncio.sleep(60)))
        for kind in "bcd":
            await pages.get(kind, 0, make)
        await asyncio.sleep(0)
        return reader.cancelled(), reader.cancel()

    assert asyncio.run(main()) == (False, True)


def test_a_page_that_takes_long_is_not_begun_again():
    """However many ask meanwhile, and however fresh they want it."""

    async def main():
        pages, make = Pages(4), Maker()
        make.may.clear()
        asking = [asyncio.create_task(pages.get("text", 0, make)) for _ in range(10)]
        await asyncio.sleep(0.01)
        asking += [asyncio.create_task(pages.get("text", 0, make)) for _ in range(10)]
        await asyncio.sleep(0.01)
        make.may.set()
        return {told(page) for page in await asyncio.gather(*asking)}

    assert asyncio.run(main()) == {"page 1"}
