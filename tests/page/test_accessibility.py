"""axe-core's rules in every look of the page, and what no rule can see."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from stream.events import Candidate, Candidates, SpeechStarted, Warned
from tests.page.browser import DESKTOP, PHONE, opened
from tests.page.script import final, mistake, provisional, word

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def violations(page: Page) -> list[str]:
    await page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
    options = {"runOnly": {"type": "tag", "values": RULES}}
    found = (await Axe().run(page, options=options)).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "ar"])
async def test_no_rule_is_broken(scripted, server, viewport, color_scheme, locale):
    look = {"viewport": viewport, "color_scheme": color_scheme, "locale": locale}
    async with opened(server.url, **look) as page:
        await expect(page.locator(".opening")).not_to_be_empty()
        assert await violations(page) == []
    async with scripted(**look) as (page, service):
        service.say(
            SpeechStarted(at=0.1),
            final(0, 2, 1, start=3),
            mistake(1, 2, 2, 0),
            provisional(2, 2, 3, 5, Candidate(3, 3, 0.05)),
            *(word(2, 2, 3, number) for number in (1, 2, 4)),
            mistake(2, 2, 3, 3),
            Warned(code="clipping", message="the audio is too loud: step back", at=1.0),
        )
        await page.locator("#history summary").last.click()
        await expect(page.locator("#candidates li")).to_have_count(2)
        await expect(page.locator(".next")).to_be_visible()
        assert await violations(page) == []
        await service.close(1011, "recognition failed: please report this")
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await violations(page) == []


async def test_every_stop_of_the_tab_key_is_named_and_visible(scripted):
    async with scripted() as (page, service):
        service.say(final(0, 112, 1), final(1, 112, 2))
        await expect(page.locator("#history summary")).to_have_count(2)
        await page.locator("#language").focus()
        latest, first = (page.locator("#history summary").nth(n) for n in range(2))
        for stop in (page.locator("#toggle"), page.locator("#stage"), latest, first):
            await page.keyboard.press("Tab")
            await expect(stop).to_be_focused()
            await expect(stop).to_have_accessible_name(re.compile(r"\w"))
            await expect(stop).to_have_css("outline-style", "solid")


async def test_finals_are_read_out_and_candidates_are_not(scripted):
    async with scripted() as (page, service):
        live = page.locator("[aria-live=polite]")
        service.say(Candidates(candidates=(Candidate(112, 1, 0.4),)), provisional(0, 112, 1, 1))
        await expect(page.locator("#candidates li")).to_have_count(1)
        await expect(live).to_have_text("Listening")
        service.say(final(0, 112, 1))
        await expect(live).to_contain_text("Al-Ikhlāṣ, verse 1")
        assert await page.locator("[aria-live] #candidates, [aria-live] #stage").count() == 0


async def test_the_button_is_big_enough_to_touch(server):
    async with opened(server.url) as page:
        for name in ("Start listening", "العربية"):
            box = await page.get_by_role("button", name=name).bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44
