"""The report as a reader sees it, in Chromium, opened from disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mstar.report.find import find_run
from mstar.report.screenshot import SCREEN, screenshot
from mstar.report.site import write_report
from tests.report.conftest import SHOWN, Page
from tests.report.runs import EVIL, colour, make_run

ID, COUNT = "#group h3", "#count"


def chosen(page: Page) -> str:
    """The prompt at the right and its iteration."""
    pressed = page.tab.text_content('#group .tab[aria-pressed="true"] span')
    return f"{page.text(ID)} {pressed}"


def test_opens_with_its_story_and_its_prompts(page: Page) -> None:
    assert page.text("h1") == "recipe"
    assert page.text(COUNT) == "18 of 18 groups · 72 responses"
    assert page.tab.locator("figure picture.light img").count() == 8
    broken = (
        "[...document.images].filter((image) => image.complete && !image.naturalWidth && image.offsetParent).length"
    )
    assert page.tab.evaluate(broken) == 0
    assert chosen(page) == "p/0 iteration 0"


def test_filters_count_what_passes(page: Page) -> None:
    page.choose("iteration", "iteration 1")
    assert page.text(COUNT) == "6 of 18 groups · 24 responses"
    page.choose("kind", "range")
    assert page.text(COUNT) == "3 of 18 groups · 12 responses"
    page.choose("outcome", "correct")
    page.choose("decision", "dropped")
    assert page.text(COUNT) == "3 of 18 groups · 3 responses"
    page.tab.fill("#min", "0.6")  # of those, the response with process reward 0.5 is dropped and right
    assert page.text(COUNT) == "0 of 18 groups · 0 responses"
    assert page.tab.is_visible("#empty")
    page.tab.fill("#min", "0.4")
    page.tab.fill("#max", "0.6")
    assert page.text(COUNT) == "3 of 18 groups · 3 responses"
    page.choose("outcome", "no answer")
    assert page.text(COUNT) == "0 of 18 groups · 0 responses"
    page.tab.click("#reset")
    assert page.text(COUNT) == "18 of 18 groups · 72 responses"


def test_responses_that_do_not_pass_are_dimmed(page: Page) -> None:
    page.choose("outcome", "wrong")
    page.wait("#group .card:not(.off) .badge", "wrong")
    assert page.tab.locator("#group .card.off").count() == 3


def test_shows_the_right_picture_question_and_reference(page: Page) -> None:
    for index in (4, 2):
        page.tab.click(f".row:has-text('number {index}?')")
        page.wait(ID, f"p/{index}")
        name = page.tab.get_attribute("#group aside img", "src")
        assert Image.open(page.report / str(name)).getpixel((0, 0)) == colour(index)
        page.tab.wait_for_function("document.querySelector('#group aside img').naturalWidth > 0")
        assert page.tab.evaluate("document.querySelector('#group aside img').naturalWidth") == 8 + index
        assert page.text("#group .asked") == f"Which colour is number {index}?"
        assert page.text("#group dd") == f"colour {index}"


def test_responses_have_steps_coloured_by_reward_verdict_and_decision(page: Page) -> None:
    card = page.tab.locator("#group .card").nth(1)
    assert card.locator(".badge").all_text_contents() == ["correct", "dropped"]
    assert card.locator(".why").text_content() == "not among the top 1"
    assert card.locator(".answer bdi").text_content() == "colour 1"
    assert card.locator(".step .text").all_text_contents() == ["Look at p/0.", "It is bright.", "Answer: 1"]
    assert card.locator(".score").all_text_contents() == ["0.10", "0.50", "0.90"]
    colours = card.locator(".step").evaluate_all("steps => steps.map((step) => getComputedStyle(step).backgroundColor)")
    assert len(set(colours)) == 3
    assert card.locator(".facts").text_content() == "outcome 1 · process 0.3 · T 0.7 · 4 tokens"


def test_what_a_model_wrote_is_text(page: Page) -> None:
    title = page.tab.title()
    page.open("#prompt=p%2F1&at=1&q=%3Cscript%3E")
    assert page.text(COUNT) == "3 of 18 groups · 12 responses"
    assert page.text("#group .asked") == f"Which colour? {EVIL}"
    assert page.text("#group dd") == EVIL
    assert EVIL in page.text("#group .card .step .text")
    assert EVIL in page.text("main")  # why a prompt was not asked
    assert page.tab.locator("#group script, #group [onerror], #rows script, main script").count() == 0
    assert page.tab.title() == title != "owned"


def test_nothing_but_its_own_files_may_run(page: Page) -> None:
    attack = "const s = document.createElement('script'); s.textContent = 'document.title = `owned`';"
    page.tab.evaluate(f"{attack} document.body.append(s)")
    assert page.tab.title() != "owned"
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    page.complaints.clear()


def test_links_lead_to_a_prompt_with_its_filters(page: Page) -> None:
    page.choose("outcome", "wrong")
    page.tab.click(".row:has-text('number 3?') >> nth=1")
    page.wait(ID, "p/3")
    address = page.tab.evaluate("location.hash")
    assert address == "#prompt=p%2F3&at=1&outcome=wrong"
    page.open(address)
    assert chosen(page) == "p/3 iteration 1"
    assert page.text(COUNT) == "18 of 18 groups · 18 responses"
    page.tab.wait_for_load_state("load")  # charts do not push it away
    assert page.tab.evaluate("document.getElementById('prompts').getBoundingClientRect().top") < 100


def test_search_finds_questions_and_on_demand_responses(page: Page) -> None:
    page.tab.fill("#query", "NUMBER 4")
    assert page.text(COUNT) == "3 of 18 groups · 12 responses"
    page.tab.fill("#query", "bright p/5.")  # stands in responses only
    assert page.text(COUNT) == "0 of 18 groups · 0 responses"
    page.tab.click("#inside")
    page.wait(COUNT, "3 of 18 groups · 12 responses")


def test_keys_do_what_help_says(page: Page) -> None:
    press = page.tab.keyboard.press
    press("j")
    press("j")
    press("k")
    page.wait(ID, "p/1")
    press("ArrowDown")
    page.wait(ID, "p/2")
    press("ArrowRight")
    page.wait('#group .tab[aria-pressed="true"] span', "iteration 1")
    press("ArrowLeft")
    page.wait('#group .tab[aria-pressed="true"] span', "iteration 0")
    press("/")
    page.tab.keyboard.type("j?")  # goes into the field
    assert page.tab.input_value("#query") == "j?" and page.text(ID) == "p/2"
    press("Escape")
    press("?")
    assert page.tab.is_visible("#help")
    press("Escape")
    assert not page.tab.is_visible("#help")


def test_iterations_of_a_prompt_stand_side_by_side(page: Page) -> None:
    page.tab.keyboard.press("j")
    page.wait(ID, "p/1")
    page.tab.keyboard.press("c")
    page.tab.wait_for_selector(".beside .column >> nth=2")
    heads = page.tab.locator(".column h4").all_text_contents()
    assert heads == [f"iteration {i}2 of 4 right · 1 kept" for i in range(3)]
    assert "beside=1" in page.tab.evaluate("location.hash")


def test_dark_follows_the_system_and_the_switch(browser: Any, report: Path) -> None:
    page = Page(browser, report, "dark").open()
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.tab.evaluate(paper)
    assert max(map(int, re.findall(r"\d+", dark)[:3])) < 50
    assert page.tab.is_visible("picture.dark") and not page.tab.is_visible("picture.light")
    page.tab.click("#theme")
    assert min(map(int, re.findall(r"\d+", page.tab.evaluate(paper))[:3])) > 200
    assert page.tab.is_visible("picture.light")
    page.tab.reload()  # remembered
    assert page.tab.evaluate(paper) != dark
    page.tab.evaluate("localStorage.clear()")
    page.tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.tab.set_viewport_size({"width": width, "height": 800})
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width


def test_first_screen_is_a_picture(browser: Any, report: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """With ``--picture-of RUN`` it is that run's, and docs/report.png."""
    run, file = pytestconfig.getoption("--picture-of", None), tmp_path / "report.png"
    if run is not None:
        report, file = tmp_path / "out", SHOWN
        write_report([find_run(run)], report)
    page = Page(browser, report).open()
    screenshot(page.tab, file)
    with Image.open(file) as picture:
        assert picture.size == SCREEN and len(picture.convert("RGB").getcolors(100_000) or ()) > 50
    assert page.complaints == []
    page.tab.close()


def test_two_runs_stand_side_by_side(browser: Any, tmp_path: Path) -> None:
    runs = [find_run(make_run(tmp_path / name, iterations=1, num=num)) for name, num in (("old", 6), ("new", 4))]
    write_report(runs, tmp_path / "out")
    page = Page(browser, tmp_path / "out").open("#prompt=p%2F3&in=1&beside=1")
    assert page.tab.locator("h1").all_text_contents() == ["Aold", "Bnew"]
    page.tab.wait_for_selector(".beside .column >> nth=1")
    assert [head[:15] for head in page.tab.locator(".column h4").all_text_contents()] == [
        "A · iteration 0",
        "B · iteration 0",
    ]
    page.choose("run", "prompts in both")
    assert page.text(COUNT) == "8 of 10 groups · 32 responses"
    page.choose("run", "B · new")
    assert page.text(COUNT) == "4 of 10 groups · 16 responses"
    assert page.complaints == []
    page.tab.close()


def test_readme_shows_a_first_screen() -> None:
    with Image.open(SHOWN) as picture:
        assert picture.size == SCREEN
    assert SHOWN.stat().st_size < 300_000
