"""What the page makes of every event."""

from __future__ import annotations

import asyncio
import re

from playwright.async_api import Locator, Page, Route, expect

from stream.events import (
    Candidate,
    Candidates,
    NotQuran,
    Retracted,
    SpeechEnded,
    SpeechStarted,
    VerseRef,
    Warned,
)
from tests.page.browser import DESKTOP
from tests.page.script import INDEX, final, mistake, provisional, word, words_of


async def states(page: Page) -> list[str]:
    await expect(page.locator(".word").first).to_be_visible()  # drawn a little after it is named
    return await page.locator(".word").evaluate_all("words => words.map(w => w.dataset.state)")


async def texts(found: Locator) -> list[str]:
    return [" ".join(text.split()) for text in await found.all_inner_texts()]


async def test_words_light_up_as_they_are_recited(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 1, 1))
        stage = page.locator("#stage")
        await expect(stage).to_have_attribute("data-verse", "112:1")
        await expect(page.locator(".word")).to_have_text(words_of(112, 1))
        assert await states(page) == ["current", "ahead", "ahead", "ahead"]
        service.say(word(0, 112, 1, 1), word(0, 112, 1, 2), provisional(0, 112, 1, 3))
        await expect(page.locator("[aria-current]")).to_have_text(words_of(112, 1)[2])
        assert await states(page) == ["recited", "recited", "current", "ahead"]
        await expect(page.locator(".next")).to_contain_text(" ".join(words_of(112, 2)))
        await expect(stage.get_by_role("heading", name="Al-Ikhlāṣ, verse 1")).to_be_visible()
        service.say(final(0, 112, 1))
        await expect(page.locator("[data-state=recited]")).to_have_count(4)
        await expect(page.locator("[aria-current]")).to_have_count(0)


async def test_words_that_were_not_recited_stay_dim(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 1, 3), final(0, 112, 1, 3, 4))
        await expect(page.locator("[data-state=recited]")).to_have_count(2)
        assert await states(page) == ["ahead", "ahead", "recited", "recited"]
        await page.locator("#history summary").click()
        await expect(page.get_by_text("Words 3 to 4 of 4")).to_be_visible()


async def test_the_font_of_the_mushaf_is_used(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 1, 1))
        verse = page.locator(".verse[lang=ar][dir=rtl]")
        await expect(verse).to_have_css("font-family", re.compile("^Hafs,"))
        loaded = "document.fonts.ready.then(() => document.fonts.check('1em Hafs'))"
        assert await page.evaluate(loaded)


async def test_the_next_verse_may_open_the_next_surah(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 4, 1))
        await expect(page.locator(".next")).to_contain_text(" ".join(words_of(113, 1)))
        service.say(provisional(1, 114, 6, 1))
        await expect(page.locator("#stage")).to_have_attribute("data-verse", "114:6")
        await expect(page.locator(".next")).to_have_count(0)


async def test_a_verse_may_be_shown_before_the_one_before_it_is_final(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 1, 4), provisional(1, 112, 2, 1), final(0, 112, 1))
        await expect(page.locator("#history li[data-verse='112:1']")).to_be_visible()
        await expect(page.locator("#stage")).to_have_attribute("data-verse", "112:2")
        assert await states(page) == ["current", "ahead"]


async def test_what_is_withdrawn_leaves_the_stage(scripted):
    async with scripted() as (page, service):
        service.say(provisional(0, 112, 1, 4), final(0, 112, 1), provisional(1, 2, 255, 1))
        stage = page.locator("#stage")
        await expect(stage).to_have_attribute("data-verse", "2:255")
        service.say(provisional(1, 3, 2, 2))  # replaced
        await expect(stage).to_have_attribute("data-verse", "3:2")
        service.say(Retracted(slot=1, surah=3, ayah=2, reason="unclear"))
        await expect(stage).to_have_attribute("data-verse", "112:1")
        await expect(page.locator("#history li[data-verse]")).to_have_count(1)


async def test_candidates_narrow(scripted):
    five = [(2, 255, 0.31), (3, 2, 0.27), (20, 8, 0.12), (59, 22, 0.08), (28, 70, 0.05)]
    async with scripted(viewport=DESKTOP) as (page, service):
        service.say(Candidates(candidates=tuple(Candidate(*each) for each in five)))
        rows = page.get_by_role("region", name="Candidates").get_by_role("listitem")
        await expect(rows).to_have_count(5)
        await expect(rows.nth(1)).to_contain_text(INDEX.surah_name(3)[1])
        listed = await texts(rows)
        assert listed[0] == f"Al-Baqarah 255 {' '.join(words_of(2, 255)[:8])} 31%"
        service.say(provisional(0, 2, 255, 2, Candidate(3, 2, 0.1)))
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("90%")
        service.say(final(0, 2, 255))
        await expect(rows).to_have_count(0)


async def test_mistakes_are_marked_and_told(scripted):
    async with scripted() as (page, service):
        service.say(
            mistake(0, 112, 1, 0),
            provisional(1, 112, 2, 2),
            mistake(1, 112, 2, 1),
            final(1, 112, 2),
            mistake(1, 112, 2, 2, "ٱلصَّبْرُ"),  # may be known only afterwards
        )
        told = page.locator("#stage .mistakes li")
        await expect(told).to_have_count(2)
        skipped, replaced = words_of(112, 2)
        assert await texts(told) == [
            f"Skipped: {skipped}",
            f"Recited ٱلصَّبْرُ, expected {replaced}",
        ]
        assert await states(page) == ["mistaken", "mistaken"]
        entries = page.locator("#history li[data-verse]")
        await expect(entries).to_have_class(["flawed", "flawed"])
        await entries.nth(0).locator("summary").click()
        await expect(entries.nth(0).get_by_text("Skipped")).to_be_visible()
        await expect(entries.nth(1).get_by_text("Verse skipped")).to_be_visible()


async def test_history_tells_times_and_the_same_words_elsewhere(scripted):
    elsewhere = (VerseRef(55, 16), VerseRef(55, 18))
    async with scripted() as (page, service):
        service.say(final(0, 55, 12), final(1, 55, 13, start=61, ambiguous_with=elsewhere))
        entries = page.locator("#history li[data-verse]")
        await expect(entries.locator(".when").first).to_have_text("1:01–1:05")
        latest = entries.first
        await page.locator("#stage").focus()
        await page.keyboard.press("Tab")
        await expect(latest.locator("summary")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(latest.get_by_text("Ar-Raḥmān 16 or Ar-Raḥmān 18")).to_be_visible()
        await expect(latest.get_by_text("Certainty 93%")).to_be_visible()
        words = latest.get_by_role("list", name="Word by word").get_by_role("listitem")
        assert await texts(words) == [
            f"{text} 1:0{n}" for n, text in enumerate(words_of(55, 13), start=1)
        ]


async def test_the_open_verse_keeps_the_focus_when_its_words_come_late(scripted):
    async with scripted() as (page, service):
        come = asyncio.Event()

        async def late(route: Route) -> None:
            await come.wait()
            await route.continue_()

        await page.route("**/v1/surah/112", late)
        service.say(final(0, 112, 1))
        summary = page.locator("#history summary")
        await summary.focus()
        await page.keyboard.press("Enter")
        await expect(summary.locator(".text")).not_to_contain_text(words_of(112, 1)[0])
        come.set()
        await expect(summary.locator(".text")).to_contain_text(" ".join(words_of(112, 1)))
        await expect(summary).to_be_focused()
        await expect(page.get_by_text("Certainty 93%")).to_be_visible()


async def test_status_says_what_is_heard(scripted):
    async with scripted() as (page, service):
        status = page.locator("#status")
        await expect(status).to_have_text("Listening")
        for event, said in (
            (SpeechStarted(at=0.5), "Hearing you"),
            (NotQuran(since=0.5), "Not in the Quran"),
            (Candidates(candidates=(Candidate(1, 1, 0.5),)), "Hearing you"),
            (SpeechEnded(at=3.0), "Listening"),
        ):
            service.say(event)
            await expect(status).to_have_text(said)


async def test_a_warning_shows_until_a_verse_is_final(scripted):
    async with scripted() as (page, service):
        service.say(Warned(code="clipping", message="the audio is too loud: step back", at=1.0))
        warning = page.locator("#warning")
        await expect(warning).to_have_text("the audio is too loud: step back")
        service.say(final(0, 112, 1))
        await expect(warning).to_be_hidden()


async def test_the_current_word_of_a_long_verse_stays_in_sight(scripted):
    async with scripted(reduced_motion="reduce") as (page, service):
        for current in (1, 60, 120, 20):
            service.say(provisional(0, 2, 282, current))
            word_now = page.locator("[aria-current]")
            await expect(word_now).to_have_text(words_of(2, 282)[current - 1])
            await expect(word_now).to_be_in_viewport()
            inside = await word_now.evaluate(
                """word => {
                  const stage = document.getElementById("stage").getBoundingClientRect();
                  const { top, bottom } = word.getBoundingClientRect();
                  return stage.top <= top && bottom <= stage.bottom;
                }"""
            )
            assert inside, current


async def test_nothing_overflows_to_the_side_of_a_small_phone(scripted):
    async with scripted(viewport={"width": 320, "height": 568}) as (page, service):
        service.say(final(0, 55, 13), provisional(1, 2, 282, 60))
        await expect(page.locator("#stage")).to_have_attribute("data-verse", "2:282")
        assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_the_page_speaks_arabic_too(scripted):
    async with scripted(locale="ar-EG") as (page, service):
        await expect(page.locator("html[lang=ar][dir=rtl]")).to_have_count(1)
        await expect(page.get_by_role("button", name="أوقف الاستماع")).to_be_visible()
        service.say(final(0, 112, 2))
        await expect(page.locator("#history .when").first).to_have_text("٠:٠٠–٠:٠٢")
        await expect(page.locator("#announcer")).to_contain_text(
            f"{INDEX.surah_name(112)[0]}، الآية ٢"
        )
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("html[lang=en][dir=ltr]")).to_have_count(1)
        await expect(page.locator("#history .reference")).to_have_text("Al-Ikhlāṣ 2")
        await expect(page.locator("#status")).to_have_text("Listening")
        await page.reload()
        await expect(page.locator("html[lang=en]")).to_have_count(1)  # it is remembered


async def test_nothing_moves_for_those_who_mind(scripted):
    moving = "document.getAnimations().length"
    for preference, moves in (("reduce", False), ("no-preference", True)):
        async with scripted(reduced_motion=preference) as (page, service):
            await page.evaluate("document.fonts.ready")
            await page.evaluate(
                f"window.most = 0; setInterval(() => most = Math.max(most, {moving}), 5)"
            )
            service.say(provisional(0, 112, 1, 1), word(0, 112, 1, 1), provisional(0, 112, 1, 2))
            await expect(page.locator("[data-state=recited]")).to_have_count(1)
            await page.wait_for_timeout(500)
            assert bool(await page.evaluate("most")) is moves
