"""The page of ``draw`` in a browser: drawing by mouse, finger and keys, looks, accessibility."""

from __future__ import annotations

import shutil
import threading

import pytest
from drawings import STROKES

from sknet._cli.draw.pages import load_pages
from sknet._cli.draw.server import DrawServer
from sknet._cli.draw.training import train_on_digits

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402
from selenium.webdriver.common.actions.pointer_input import PointerInput  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is installed"),
    pytest.mark.skipif(DRIVER is None, reason="chromedriver is not installed"),
]
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)
WIDTHS = (360, 820, 1400)


@pytest.fixture(scope="module")
def url():
    with DrawServer(0) as server:
        server.recognizer = train_on_digits(seed=2)  # as in test_draw.py
        server.pages = load_pages(server.recognizer)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, url):
    """Open the page anew; at the end nothing may have been reported in the console."""
    set_window(browser, 1400)
    browser.get(url)
    yield browser
    assert browser.get_log("browser") == []


def set_window(browser, width, scheme="light"):
    size = {"width": width, "height": 1000, "deviceScaleFactor": 2, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)


def text(page, name):
    """Return the text of an element, which may be visible to screen readers alone."""
    return page.find_element(By.ID, name).get_attribute("textContent")


def wait_for(page, condition):
    return WebDriverWait(page, 30, poll_frequency=0.05).until(condition)


def answer(page):
    """Wait until screen readers are told an answer that belongs to what is shown."""
    wait_for(
        page,
        lambda _: (
            f" {text(page, 'digit')}, " in text(page, "answer-status").partition(" sure. ")[0]
        ),
    )
    return text(page, "digit")


def draw(page, strokes, kind="mouse"):
    """Draw by real events of the browser."""
    paper = page.find_element(By.ID, "paper")
    side = paper.size["width"]
    actions = ActionBuilder(page, mouse=PointerInput(kind, kind), duration=5)
    for stroke in strokes:
        (x, y), *rest = [(round((x - 0.5) * side), round((y - 0.5) * side)) for x, y in stroke]
        actions.pointer_action.move_to(paper, x, y).pointer_down()
        for x, y in rest:
            actions.pointer_action.move_to(paper, x, y)
        actions.pointer_action.pointer_up()
    actions.perform()


@pytest.mark.parametrize(
    ("digit", "kind", "width"),
    [(2, "mouse", 1400), (3, "mouse", 820), (7, "mouse", 360), (5, "touch", 360), (6, "pen", 1400)],
)
def test_drawn_digits_are_read(page, digit, kind, width):
    set_window(page, width)
    draw(page, STROKES[digit], kind)
    assert answer(page) == str(digit)
    shares = [
        float(e.text.rstrip("%")) for e in page.find_elements(By.CSS_SELECTOR, "#bars .number")
    ]
    assert len(shares) == 10
    assert shares[digit] == max(shares) > 50
    assert sum(shares) == pytest.approx(100, abs=0.5)  # each is rounded to 0.1
    assert text(page, "certainty") == f"{shares[digit]:.1f}% sure"
    widths = page.execute_script(
        "return [...document.querySelectorAll('.track span')]"
        ".map(bar => 100 * Number(bar.style.transform.slice(7, -1)))"
    )
    assert widths == pytest.approx(shares, abs=0.0501)


# The pixels of a canvas, read from a copy: reading a canvas itself makes the browser warn.
PIXELS = """
const canvas = document.getElementById(arguments[0]);
const copy = new OffscreenCanvas(canvas.width, canvas.height);
const context = copy.getContext("2d", { willReadFrequently: true });
context.drawImage(canvas, 0, 0);
const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
"""


def n_colors(page, name):
    return page.execute_script(
        PIXELS + "return new Set(new Uint32Array(pixels.buffer)).size;", name
    )


def test_panels_show_the_answer_until_the_paper_is_cleared(page):
    before = {name: n_colors(page, name) for name in ("paper", "image", "hidden", "saliency")}
    draw(page, STROKES[3])
    answer(page)
    for name, n in before.items():
        assert n_colors(page, name) > n + 5
    assert 10 < int(text(page, "active").split()[1]) < 100
    page.find_element(By.ID, "clear").click()
    wait_for(page, lambda _: text(page, "digit") == "?")
    assert {name: n_colors(page, name) for name in before} == before
    assert text(page, "certainty") == "Nothing is drawn yet"
    wait_for(page, lambda _: text(page, "answer-status") == "")


def test_undo_takes_the_last_stroke_back(page):
    draw(page, STROKES[3])
    draw(page, [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]])
    undo = page.find_element(By.ID, "undo")
    undo.click()
    undo.click()
    wait_for(page, lambda _: text(page, "digit") == "3")
    undo.click()
    wait_for(page, lambda _: text(page, "digit") == "?")
    undo.click()  # of nothing
    assert text(page, "problem") == ""


def test_a_click_leaves_a_dot(page):
    draw(page, [[(0.5, 0.5)]])
    answer(page)


def test_drawing_outside_of_the_paper(page):
    """The stroke goes on where the pointer comes back; what is outside is not sent."""
    draw(page, [[(0.4, 0.5), (1.2, 0.5), (1.2, 0.7), (0.4, 0.7)]])
    answer(page)


def press(page, *keys):
    for key in keys:
        ActionChains(page).send_keys(key).perform()


def test_keys_draw(page):
    """A vertical line from the top, then Escape."""
    press(page, Keys.TAB)
    paper = page.switch_to.active_element
    assert paper.get_attribute("id") == "paper"
    outline = "return getComputedStyle(arguments[0]).outline"
    assert "solid 3px" in page.execute_script(outline, paper)
    empty = n_colors(page, "paper")
    assert empty > 1  # the pen is shown
    press(page, *[Keys.ARROW_UP] * 5)
    wait_for(page, lambda _: text(page, "pen-status") == "50% from the left, 19% from the top.")
    press(page, " ")
    wait_for(page, lambda _: text(page, "pen-status").startswith("Pen down. 50% from the left"))
    press(page, *[Keys.ARROW_DOWN] * 10, " ")
    wait_for(page, lambda _: text(page, "pen-status").startswith("Pen lifted."))
    assert answer(page) == "1"
    press(page, Keys.ESCAPE)
    wait_for(page, lambda _: text(page, "digit") == "?")
    wait_for(page, lambda _: text(page, "pen-status") == "The paper is empty.")


def test_keys_for_diagonals_small_steps_and_undo(page):
    press(page, Keys.TAB)
    chain = ActionChains(page).key_down(Keys.ARROW_UP).key_down(Keys.ARROW_LEFT)
    chain.key_up(Keys.ARROW_UP).key_up(Keys.ARROW_LEFT).perform()
    # Up by a sixteenth, then both.
    wait_for(page, lambda _: text(page, "pen-status") == "44% from the left, 38% from the top.")
    ActionChains(page).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    wait_for(page, lambda _: text(page, "pen-status") == "45% from the left, 38% from the top.")
    press(page, " ", Keys.BACKSPACE)
    wait_for(page, lambda _: text(page, "digit") == "?")
    wait_for(page, lambda _: text(page, "pen-status") == "The paper is empty.")
    press(page, *[Keys.ARROW_LEFT] * 20)
    wait_for(page, lambda _: text(page, "pen-status") == "0% from the left, 38% from the top.")


def test_the_rest_of_the_page_is_reached_by_tab(page):
    press(page, Keys.TAB, Keys.TAB)
    assert page.switch_to.active_element.text == "Undo"
    press(page, Keys.TAB)
    assert page.switch_to.active_element.text == "Clear"


def test_what_screen_readers_find(page):
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [
        (n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if not n["ignored"]
    ]
    for expected in [
        ("application", "Your drawing"),
        ("button", "Undo"),
        ("button", "Clear"),
        ("heading", "Draw a digit"),
        ("region", "Answer"),
        ("region", "Inside the network"),
        ("list", "Probability of each digit"),
        ("image", "The drawing as the network sees it"),
        ("image", "Activations of the hidden units"),
        ("image", "How each pixel changes the answer"),
    ]:
        assert expected in found, found
    assert {"banner", "main"} <= {role for role, _ in found}
    assert [role for role, _ in found].count("status") == 2
    paper = next(n for n in tree if n["role"]["value"] == "application")
    assert "arrow keys" in paper["description"]["value"]
    assert page.execute_script("return document.documentElement.lang") == "en"


# The relative luminance and the contrast of https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
CONTRASTS = """
const light = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map((c) => {
    const share = c / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  const color = getComputedStyle(e).backgroundColor;
  return color === "rgba(0, 0, 0, 0)" ? behind(e.parentElement) : color;
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
return [...document.querySelectorAll("h1, h2, h3, p, li span, button, figcaption, kbd")]
  .filter((e) => e.textContent.trim())
  .map((e) => [e.outerHTML.slice(0, 40),
               contrast(light(getComputedStyle(e).color), light(behind(e)))]);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_looks(page, scheme, width):
    """The colours are those of the scheme, text has WCAG's contrast AA, and nothing is cut off."""
    set_window(page, width, scheme)
    draw(page, STROKES[3])
    answer(page)
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    lightness = int(background.removeprefix("rgb(").split(",")[0])
    assert (lightness > 200) if scheme == "light" else (lightness < 50)
    contrasts = page.execute_script(CONTRASTS)
    assert len(contrasts) > 40
    assert min(ratio for _, ratio in contrasts) >= 4.5, contrasts
    script = "return [document.documentElement.scrollWidth, innerWidth]"
    needed, available = page.execute_script(script)
    assert needed <= available == width
    cut_off = page.execute_script(
        "return [...document.querySelectorAll('main *:not(.unseen)')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0"
        " && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML)"
    )
    assert cut_off == []


def test_colours_follow_the_system_at_once(page):
    draw(page, STROKES[3])
    answer(page)

    def ink():
        """Return the red, green and blue of all opaque pixels."""
        script = "return [...pixels].filter((_, i) => i % 4 < 3 && pixels[i - i % 4 + 3] === 255);"
        return page.execute_script(PIXELS + script, "paper")

    assert 0 < max(ink()) < 60
    set_window(page, 1400, "dark")
    wait_for(page, lambda _: min(ink()) > 200)


def test_reduced_motion(page):
    def duration():
        return page.execute_script(
            "return getComputedStyle(document.querySelector('.track span')).transitionDuration"
        )

    assert duration() == "0.15s"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert duration() == "0s"


def test_nothing_comes_from_elsewhere(page, url):
    draw(page, STROKES[3])
    answer(page)
    names = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert f"{url}predict" in names
    assert [name for name in names if not name.startswith(url)] == []


def test_a_program_that_has_ended_is_named(browser, url):
    """The page says so, and goes on when the program is back."""
    browser.get(url)
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    draw(browser, STROKES[3])
    wait_for(browser, lambda _: "does not answer" in text(browser, "problem"))
    offline["offline"] = False
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    draw(browser, [[(0.48, 0.48), (0.5, 0.48)]])
    assert answer(browser) == "3"
    assert text(browser, "problem") == ""
    browser.get_log("browser")  # has the requests that failed
