"""A server that is not there, goes away or refuses: the page says so, and how to go on."""

from __future__ import annotations

import json
import signal

import pytest
from playwright.async_api import expect

from tests.page.browser import ScriptedServer, Server, opened
from tests.page.script import final, provisional


async def test_a_lost_server_can_be_connected_to_again():
    """A real server: killed, absent, back again."""
    mortal = Server()
    async with opened(mortal.url) as page:
        await page.locator("#toggle").click()
        status, alert = page.locator("#status"), page.get_by_role("alert")
        await expect(page.locator("#toggle")).to_have_attribute("data-state", "listening")
        mortal.stop(signal.SIGKILL)
        await expect(alert).to_contain_text("The connection was lost.")
        await alert.get_by_role("button", name="Reconnect").click()
        await expect(alert).to_contain_text("The server does not answer.")
        reborn = Server(mortal.port)
        try:
            await page.locator("#toggle").click()
            await expect(page.locator("#toggle")).to_have_attribute("data-state", "listening")
            await expect(alert).to_be_hidden()
        finally:
            reborn.stop(signal.SIGTERM)
        await expect(alert).to_contain_text("The server was stopped.")
        await expect(status).to_have_text("Ready")


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (1013, "too many streams: try again later", "Try again in a minute."),
        (4401, "the token is missing or wrong", "#token="),
        (4408, "no message for 30 s", "Keep this page open"),
        (1011, "recognition failed: please report this", "recognition failed"),
    ],
)
async def test_refusals_are_explained(scripted, code, reason, told):
    async with scripted() as (page, service):
        await service.close(code, reason)
        await expect(page.get_by_role("alert")).to_contain_text(told)
        await expect(page.locator("#toggle")).to_have_attribute("data-state", "idle")


async def test_what_was_final_survives_a_lost_connection(scripted):
    async with scripted() as (page, service):
        service.say(final(0, 112, 1), provisional(1, 112, 2, 1))
        await expect(page.locator("#stage")).to_have_attribute("data-verse", "112:2")
        await service.close(1011)
        again = page.get_by_role("alert").get_by_role("button", name="Reconnect")
        await expect(page.locator("#stage")).to_have_attribute("data-verse", "112:1")
        await again.click()
        await expect(page.locator("#toggle")).to_be_focused()
        await expect(page.locator("#toggle")).to_have_attribute("data-state", "listening")
        service.say(final(0, 112, 2))
        entries = page.locator("#history li[data-verse]")
        await expect(entries).to_have_count(2)
        await expect(entries.first).to_have_attribute("data-verse", "112:2")


async def test_a_token_is_given_from_the_fragment(server):
    service = ScriptedServer(greets=False)
    async with opened("about:blank") as page:
        await service.replace(page)
        await page.goto(server.url + "#token=secret")
        await page.locator("#toggle").click()
        await expect(page.locator("#status")).to_have_text("Connecting…")
        await page.wait_for_timeout(500)
    assert json.loads(service.received[0])["token"] == "secret"


async def test_text_that_cannot_be_loaded_is_told_and_tried_again(scripted):
    async with scripted(complains=True) as (page, service):
        await page.route("**/v1/surah/112", lambda route: route.abort())
        service.say(provisional(0, 112, 1, 1))
        await expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
        await page.unroute("**/v1/surah/112")
        service.say(provisional(0, 112, 1, 2))
        await expect(page.locator(".word")).to_have_count(4)
        await expect(page.get_by_role("alert")).to_be_hidden()
