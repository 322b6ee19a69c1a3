"""The page in a real browser: Debian's Chromium, driven by Playwright; nothing of it comes from elsewhere."""

import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from cmir_ref import load_run, retrieve, runs
from cmir_ref.config import load_config
from cmir_ref.data import load_data
from cmir_ref.data.speech import RATE, read_sound

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium here; Debian's package is `chromium`", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("starlette")

WIDTHS = pytest.mark.parametrize("width", [1280, 400])
FAKES = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="module")
def playwright():
    with sync_api.sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright):
    with start_browser(playwright, *FAKES) as found:
        yield found


@contextmanager
def start_browser(playwright, *words):
    found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *words])
    yield found
    found.close()


@contextmanager
def opened(browser, site, run=None, width=1280, hash_="", refused=False, **given):
    """A page of the site that must say nothing in its console and ask nobody else.

    Chromium itself reports an answer that refuses something there: `refused`.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, **given)
    context.grant_permissions(["microphone", "camera", "clipboard-read", "clipboard-write"])
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{site.port}/{hash_}")
    page.wait_for_selector("[role=tab]")
    if run:
        page.click(f'[id="tab-{run}"]')
    yield page
    outside = [url for url in asked if url.startswith("http") and urlsplit(url).netloc != f"127.0.0.1:{site.port}"]
    said = [text for text in said if not (refused and "the server responded with a status of 422" in text)]
    assert said == [] and outside == [] and len(asked) > 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing reaches beyond the page"
    context.close()


def until(page, expression, arg=None, seconds=60):
    """Waits for a condition; Playwright's own way evaluates texts, which the page's policy forbids."""
    for _ in range(20 * seconds):
        if page.evaluate(expression, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression}: not after {seconds} s; {page.inner_text('#status')!r}")


def wait_for_answer(page, count=10):
    """Names of the results, once they are shown, with their pictures."""
    until(page, "document.getElementById('status').textContent.startsWith('The ')")
    until(
        page,
        "[...document.querySelectorAll('.shown:not(.sentence)')].every((s) => s.children.length) &&"
        " [...document.images].every((i) => i.complete && i.naturalWidth > 0)",
    )
    assert page.locator("#status.bad").count() == 0
    assert page.locator("#results > li").count() == count
    return page.locator("#results .name").all_inner_texts()


def retrieved(site, run, query, to, **given):
    return [hit.id for hit in retrieve(load_run(site.names[run]), query, to, **given)]


def some_file(folder, number=3):
    return sorted(path for path in Path(folder).rglob("*.*") if path.is_file())[number]


# ---- from page load to shown results --------------------------------------------------------------------------------


@WIDTHS
def test_a_sound_file(browser, site, width):
    path = some_file(site.root / "speech")
    with opened(browser, site, "spoken", width) as page:
        page.click("#ways >> text=File")
        page.set_input_files("#chosen", path)
        assert wait_for_answer(page) == retrieved(site, "spoken", path, "a")
        assert page.locator("#query img").get_attribute("title") == "log-mel spectrogram"
        page.click("#results .card button >> nth=0")  # an image, and back to sounds that can be played
        until(page, "document.querySelectorAll('.play').length >= 10")
        with page.expect_response(re.compile("/sound/b/")) as sound:
            page.click("#results .play >> nth=0")
        assert sound.value.status == 206  # the browser asks for a range


@WIDTHS
def test_a_drawing_made_by_the_mouse(browser, site, width):
    with opened(browser, site, "drawn", width) as page:
        page.click("#ways >> text=Draw")
        box = page.locator("#paper").bounding_box()

        def line(*points):
            at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
            page.mouse.move(*at[0])
            page.mouse.down()
            for x, y in at[1:]:
                page.mouse.move(x, y, steps=5)
            page.mouse.up()

        ring = [(0.5 + 0.3 * np.cos(t), 0.5 + 0.3 * np.sin(t)) for t in np.linspace(0, 6.3, 25)]
        line(*ring)
        first = wait_for_answer(page)
        shown = page.locator("#query img").get_attribute("src")
        line((0.1, 0.1), (0.9, 0.9))
        until(page, "(old) => document.querySelector('#query img').src !== old", arg=shown)
        page.click("#undo")
        until(page, "(old) => document.querySelector('#query img').src === old", arg=shown)
        assert wait_for_answer(page) == first
        page.click("#eraser")
        line((0.5, 0.1), (0.5, 0.9))
        until(page, "(old) => document.querySelector('#query img').src !== old", arg=shown)
        page.click("#clear")
        dark = "(c) => c.getContext('2d').getImageData(0, 0, 512, 512).data.filter((v) => v < 128).length"
        assert page.locator("#paper").evaluate(dark) == 0


@WIDTHS
@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_a_picture(browser, site, width, how, tmp_path):
    Image.open(some_file(site.root / "photos" / "Images")).save(tmp_path / "x.png")
    with opened(browser, site, "drawn", width) as page:
        page.click("#ways >> text=File")
        if how == "chosen":
            page.set_input_files("#chosen", tmp_path / "x.png")
        else:
            name, field = ("drop", "dataTransfer") if how == "dropped" else ("paste", "clipboardData")
            page.evaluate(
                """([bytes, name, field]) => {
                    const data = new DataTransfer();
                    const file = new File([new Uint8Array(bytes)], "../../x.png", {type: "image/png"});
                    data.items.add(file);
                    const kind = name === "drop" ? DragEvent : ClipboardEvent;
                    const given = {[field]: data, bubbles: true, cancelable: true};
                    document.body.dispatchEvent(new kind(name, given));
                }""",
                [list((tmp_path / "x.png").read_bytes()), name, field],
            )
        found = wait_for_answer(page)
        assert found == retrieved(site, "drawn", tmp_path / "x.png", "b", modality="a")[: len(found)]


@WIDTHS
def test_a_sentence_and_where_it_is_in_a_large_picture(browser, site, width, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (130, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    with opened(browser, site, "written", width) as page:
        page.fill("#sentence", "There is a forest .")
        page.press("#sentence", "Enter")
        assert wait_for_answer(page) == retrieved(site, "written", "There is a forest .", "a", modality="b")
        page.click("#scene summary")
        page.set_input_files("#large", tmp_path / "scene.png")
        page.wait_for_selector("#located img")
        assert "200 × 130 pixels" in page.inner_text("#scenehint") and "Best places, 1: row" in page.inner_text(
            "#located"
        )
        page.click("#forget")
        page.wait_for_selector("#located", state="hidden")


def test_the_camera(browser, site):
    with opened(browser, site, "drawn") as page:
        page.click("#ways >> text=File")
        page.click("#camera")
        until(page, "document.getElementById('view').videoWidth > 0")
        page.click("#take")
        until(page, "document.getElementById('status').textContent.length > 20")
        assert page.locator("#view").is_hidden()
        wait_for_answer(page)


# ---- what every page must do ----------------------------------------------------------------------------------------


def test_by_the_keyboard_alone(browser, site):
    def focused():
        return page.evaluate("document.activeElement.id || document.activeElement.textContent")

    def tab_to(wanted, most=40):
        for _ in range(most):
            page.keyboard.press("Tab")
            if focused() == wanted:
                return
        raise AssertionError(f"{wanted} is not reached")

    with opened(browser, site) as page:
        tab_to("tab-drawn")
        page.keyboard.press("ArrowRight")
        assert focused() == "tab-spoken" and page.get_attribute('[id="tab-spoken"]', "aria-selected") == "true"
        page.keyboard.press("ArrowLeft")
        tab_to("paper")
        page.keyboard.press("Space")
        for key in ["ArrowRight"] * 8 + ["ArrowDown"] * 8 + ["ArrowLeft"] * 8 + ["ArrowUp"] * 8:
            page.keyboard.press(key)
        page.keyboard.press("Control+z")  # the stroke that is being drawn
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
        for key in ["ArrowRight"] * 8 + ["ArrowDown"] * 8 + ["ArrowLeft"] * 8 + ["ArrowUp"] * 8:
            page.keyboard.press(key)
        page.keyboard.press("Space")
        wait_for_answer(page)
        shown = page.inner_text("#query")
        page.locator("#results .card button").first.focus()
        page.keyboard.press("Enter")
        until(page, "(old) => document.getElementById('query').innerText !== old", arg=shown)
        assert page.evaluate("document.activeElement.closest('#results') !== null"), "the keyboard goes on from there"
        for node in ("#pen", "#results .card button"):
            page.locator(node).first.focus()
            page.keyboard.press("Shift+Tab")
            page.keyboard.press("Tab")
            assert page.locator(node).first.evaluate("(n) => getComputedStyle(n).outlineStyle") == "solid"


def test_a_link_keeps_query_and_settings(browser, site):
    with opened(browser, site, "spoken") as page:
        page.click("#ways >> text=Sample")
        page.select_option("#to", "all")
        page.click("#draws button >> nth=1")
        first = wait_for_answer(page)
        page.select_option("#k", "20")
        until(page, "document.querySelectorAll('#results > li').length === 20")
        page.click("#copy")
        until(page, "document.getElementById('copied').textContent !== ''")
        link = page.evaluate("navigator.clipboard.readText()")
        page.click("#results .card button >> nth=2")
        until(page, "(old) => location.href !== old", arg=link)
        page.go_back()
        until(page, "(old) => location.href === old", arg=link)
        assert wait_for_answer(page, 20)[:10] == first
    with opened(browser, site, hash_=f"#{urlsplit(link).fragment}") as page:
        assert wait_for_answer(page, 20)[:10] == first
        assert (page.input_value("#to"), page.input_value("#k")) == ("all", "20")
    hostile = "#run=<img src=x onerror=alert(1)>&item=zz.1&k=9e9&to=<b>"
    with opened(browser, site, hash_=hostile) as page:
        assert page.get_attribute('[id="tab-drawn"]', "aria-selected") == "true" and page.inner_text("#status") == ""
    with opened(browser, site, hash_="#run=written&sentence=There is a beach .&k=20") as page:
        wait_for_answer(page, 20)


def test_errors_are_one_line_and_the_page_goes_on(browser, site, tmp_path):
    with opened(browser, site, "drawn", refused=True) as page:
        page.click("#ways >> text=File")
        (tmp_path / "x.png").write_text("no picture")
        with page.expect_response("**/search*"):
            page.set_input_files("#chosen", tmp_path / "x.png")
        page.wait_for_selector("#status.bad")
        assert "your file is neither" in page.inner_text("#status")
        page.click("#ways >> text=Sample")
        page.click("#draws button >> nth=0")
        wait_for_answer(page)


SLOW = """((plain) => {
  window.fetch = async (...asked) => {
    const answer = await plain(...asked);
    await new Promise((done) => setTimeout(done, 700));
    return answer;
  };
})(window.fetch)"""


def test_what_is_under_way_when_the_tab_is_changed_stays_in_its_tab(browser, site, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(1, 255, (130, 200, 3), np.uint8)).save(tmp_path / "big.png")
    with opened(browser, site, "drawn") as page:
        page.evaluate(SLOW)
        page.click("#ways >> text=Sample")
        with page.expect_response("**/search*"):
            page.click("#draws button >> nth=0")
        page.wait_for_timeout(800)  # the answer is there, the query's thumbnail is not
        page.click('[id="tab-written"]')
        page.wait_for_timeout(2000)
        assert page.locator("#results > li").count() == 0 and page.evaluate("location.hash") == ""
        page.click("#scene summary")
        with page.expect_response("**/scene*"):
            page.set_input_files("#large", tmp_path / "big.png")
        page.click('[id="tab-drawn"]')
        page.wait_for_timeout(1000)
        assert page.inner_text("#scenehint") == ""
        page.click("#ways >> text=Sample")
        page.click("#draws button >> nth=1")
        wait_for_answer(page)


def test_dark_and_light(browser, site):
    for scheme, low in (("dark", True), ("light", False)):
        with opened(browser, site, color_scheme=scheme) as page:
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (int(re.search(r"\d+", paper)[0]) < 60) == low


# ---- a word that is said --------------------------------------------------------------------------------------------


def test_the_word_ship_of_an_unheard_voice_finds_ships(playwright, site, start_site, tmp_path):
    import soundfile

    config = load_config("demo-image-speech", MICROPHONE)
    run = runs.train(config, load_data(config), tmp_path / "said")
    speech, ship = run.dataset.modalities["b"], run.dataset.label_names.index("ship")
    heard = {speech.groups[row] for row in [*run.parts.train["b"], *run.parts.validation["b"]]}
    row = next(row for row in run.parts.test["b"] if speech.labels[row] == ship)
    assert speech.groups[row] not in heard
    still = np.zeros(RATE, np.float32)
    said = np.concatenate([still[: RATE // 2], read_sound(speech.paths[row]), *[still] * 6])
    soundfile.write(tmp_path / "said.wav", said, RATE, subtype="PCM_16")
    site = site._replace(port=start_site([tmp_path / "said"]))
    with (
        start_browser(
            playwright, *FAKES, f"--use-file-for-fake-audio-capture={tmp_path / 'said.wav'}%noloop"
        ) as browser,
        opened(browser, site) as page,
    ):
        page.click("#ways >> text=Speak")
        page.click("#record")
        wait_for_answer(page)
        labels = page.locator("#results .labels").all_inner_texts()
    assert sum("ship" in text for text in labels) >= 7, labels


MICROPHONE = ("scenes=420", "gallery=all")  # 20 places with ships are searched
