"""The page in a real Chromium, offline: it sounds, follows, seeks, obeys keys, fits a phone, and asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import music, quietly, trained  # noqa: F401  (fixtures)
from tests.page.conftest import Open, bent, tone
from tinydl.page import Music, Page, Piece, write

# An analyser at the very end of the sound: what is measured is what goes to the loudspeaker.
PROBE = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      window.probe = this.context.createAnalyser();
      window.probe.fftSize = 8192;
      window.probe.smoothingTimeConstant = 0;
      connect.call(this, window.probe);
    }
    return connect.call(this, to, ...rest);
  };
})();
"""
LOUDNESS = (
    "() => { const x = new Float32Array(8192); probe.getFloatTimeDomainData(x); return Math.hypot(...x) / 90.5; }"
)
PITCH = """() => {
  const x = new Float32Array(probe.frequencyBinCount);
  probe.getFloatFrequencyData(x);
  return x.indexOf(Math.max(...x)) * probe.context.sampleRate / probe.fftSize;
}"""
POSITION = "piece => Number(piece.querySelector('.seek').value)"


def pieces(tmp_path: Path, *given: Piece) -> Path:
    path = tmp_path / "music.html"
    write(Page("Music", "To be played.", [Music("Listen", given)]), path)
    return path


def seconds(page: Any, k: int = 0) -> float:
    return float(page.locator(".piece").nth(k).evaluate(POSITION))


def cursor(page: Any, k: int = 0) -> float:
    """Pixels from the left of the roll."""
    found = page.locator(".cursor").nth(k).evaluate("c => new DOMMatrix(getComputedStyle(c).transform).e")
    return float(found)


def reaches(page: Any, wanted: float, k: int = 0) -> None:
    """Wait until the k-th piece has come to ``wanted`` seconds: the clock of the sound, on however busy a machine."""
    page.wait_for_function(f"([k, s]) => ({POSITION})(document.querySelectorAll('.piece')[k]) >= s", arg=[k, wanted])


def loudness(page: Any) -> float:
    """Root mean square once the sound is there."""
    page.wait_for_function(f"() => window.probe && ({LOUDNESS})() > 1e-4")
    page.wait_for_timeout(300)
    return float(page.evaluate(f"Math.max(...[1, 2, 3].map({LOUDNESS}))"))


def play(page: Any, k: int = 0) -> Any:
    button = page.locator(".play").nth(k)
    button.click()
    page.wait_for_function("k => document.querySelectorAll('.piece')[k].matches('.playing')", arg=k)
    return button


def test_it_sounds_at_its_pitch_and_falls_silent(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Tone", tone())), script=PROBE)
    play(page)
    loud = loudness(page)
    assert 0.02 < loud < 0.5
    assert page.evaluate(PITCH) == pytest.approx(440, abs=6)
    page.locator(".play").click()
    page.wait_for_function(f"loud => ({LOUDNESS})() < 0.01 * loud", arg=loud)


def test_a_soft_note_is_soft(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Loud", tone(110)), Piece("Soft", tone(30))), script=PROBE)
    levels = []
    for k in (0, 1):
        play(page, k)
        levels.append(loudness(page))
        page.locator(".play").nth(k).click()
        page.wait_for_function(f"() => ({LOUDNESS})() < 1e-5")
    # Gain is (velocity / 127)^1.6, the loud one a little compressed.
    assert levels[0] / levels[1] == pytest.approx((110 / 30) ** 1.6, rel=0.25)


def test_play_moves_the_cursor_and_the_clock_and_pause_holds_them(opened: Open, whole: Path) -> None:
    page = opened(whole)
    assert page.locator(".time").first.inner_text().startswith("0:00 / 0:")
    button = play(page)
    assert button.get_attribute("aria-label") == "Pause Chorale"
    reaches(page, 0.8)
    at, x = seconds(page), cursor(page)
    assert x > 10
    assert page.locator(".piece").first.locator(".notes rect.on").count() >= 1
    reaches(page, at + 0.2)
    assert cursor(page) > x
    button.click()
    held = seconds(page), cursor(page)
    page.wait_for_timeout(300)
    assert (seconds(page), cursor(page)) == held
    assert page.locator(".time").first.inner_text().startswith(f"0:{int(held[0]):02} / ")
    assert button.get_attribute("aria-label") == "Play Chorale"
    assert not page.locator(".playing").count()


def test_one_player_at_a_time(opened: Open, whole: Path) -> None:
    page = opened(whole)
    play(page, 0)
    reaches(page, 0.1)
    play(page, 1)
    assert page.locator(".playing h3").all_inner_texts() == ["Tone"]
    stopped = seconds(page, 0)
    reaches(page, 0.3, k=1)
    assert seconds(page, 0) == stopped


def test_it_stops_at_the_end_and_begins_again(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Tone", tone(beats=40))))
    bar = page.get_by_role("slider")
    bar.press("End")
    bar.press("ArrowLeft")
    play(page)
    page.wait_for_selector(".piece:not(.playing)")
    assert seconds(page) == pytest.approx(20)
    play(page)
    assert seconds(page) < 10


def test_keys_seek(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Bent", bent())))  # bars of 2 and 4 seconds
    bar = page.get_by_role("slider", name="Position in Bent")
    bar.focus()
    for key, wanted in [
        ("ArrowRight", 1.0),
        ("ArrowUp", 2.0),
        ("ArrowLeft", 1.0),
        ("PageUp", 2.0),
        ("End", 6.0),
        ("PageDown", 2.0),
        ("PageDown", 0.0),
        ("ArrowLeft", 0.0),
        ("End", 6.0),
        ("Home", 0.0),
    ]:
        bar.press(key)
        assert seconds(page) == pytest.approx(wanted), key
        assert float(bar.get_attribute("aria-valuenow")) == pytest.approx(wanted)
    bar.press("PageUp")
    assert bar.get_attribute("aria-valuetext") == "0:02 of 0:06. Bar 2: E4"
    assert page.locator(".now").inner_text() == "Bar 2: E4"
    bar.press(" ")
    page.wait_for_selector(".playing")
    bar.press("End")  # while it plays
    page.wait_for_selector(".piece:not(.playing)")
    assert seconds(page) == pytest.approx(6.0)


def test_the_cursor_follows_the_tempo(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Bent", bent())))
    width = page.locator(".grid .panel").first.evaluate("r => r.getBBox().width")
    for at, share in [(0.0, 0.0), (1.0, 0.25), (2.0, 0.5), (4.0, 0.75), (6.0, 1.0)]:
        page.locator(".seek").evaluate("(bar, at) => { bar.value = at; bar.dispatchEvent(new Event('input')); }", at)
        assert cursor(page) == pytest.approx(share * width, abs=0.2)


def test_a_click_and_a_drag_on_the_roll_seek(opened: Open, tmp_path: Path) -> None:
    page = opened(pieces(tmp_path, Piece("Bent", bent())))
    box = page.locator(".lane").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 4, y)
    assert seconds(page) == pytest.approx(1.0, abs=0.05)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 3 / 4, y, steps=3)
    page.mouse.up()
    assert seconds(page) == pytest.approx(4.0, abs=0.05)
    page.mouse.move(box["x"], y)  # the button is up again: nothing follows
    assert seconds(page) == pytest.approx(4.0, abs=0.05)


def test_a_tap_seeks_and_the_cursor_stays_in_view(opened: Open, whole: Path) -> None:
    page = opened(whole, viewport={"width": 360, "height": 740}, has_touch=True)
    box = page.locator(".roll").first.bounding_box()
    page.touchscreen.tap(box["x"] + 200, box["y"] + 80)
    assert seconds(page) > 1
    page.get_by_role("slider").first.press("End")
    inside = page.locator(".roll").first.evaluate(
        "r => { const c = r.querySelector('.cursor').getBoundingClientRect(), b = r.getBoundingClientRect();"
        " return r.scrollLeft > 0 && c.left >= b.left && c.right <= b.right + 1; }"
    )
    assert inside


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(opened: Open, whole: Path, scheme: str) -> None:
    page = opened(whole, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    roll = page.locator(".roll").first
    assert roll.evaluate("r => r.scrollWidth > r.clientWidth")
    wanted = {"light": "rgb(250, 249, 246)", "dark": "rgb(22, 23, 26)"}[scheme]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == wanted
    assert page.locator(".play").first.bounding_box()["width"] >= 44  # a finger's width


def test_tab_reaches_everything_and_shows_where_it_is(opened: Open, whole: Path) -> None:
    page = opened(whole)
    wanted = page.evaluate(
        "[...document.querySelectorAll('a, button, input, [tabindex=\"0\"]')].filter(e => e.checkVisibility()).length"
    )
    reached = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(() => { const e = document.activeElement; return [e.className || e.tagName, "
                "getComputedStyle(e).outlineStyle, e.getAttribute('aria-label') || e.innerText]; })()"
            )
        )
    assert reached[0][0] == "skip"
    assert all(outline != "none" and label for _, outline, label in reached), reached
    kinds = [kind for kind, _, _ in reached]
    assert {k: kinds.count(k) for k in ("play", "seek", "roll", "save")} == {"play": 3, "seek": 3, "roll": 3, "save": 4}
    assert kinds.count("table") == 1 and kinds.count("PRE") == 1 and kinds.count("A") == 4
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_landmarks_and_names(opened: Open, whole: Path) -> None:
    page = opened(whole)
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    assert page.get_by_role("button", name="Play Chorale", exact=True).count() == 1
    assert page.get_by_role("img", name="Piano-roll of 8 notes in 2 bars, C4 to G4").count() == 1
    assert page.get_by_role("rowheader", name="polyphony").count() == 1
    assert [h.inner_text() for h in page.get_by_role("heading", level=2).all()] == [
        "Music",
        "Curves",
        "Measures & copying",
        "Settings",
    ]


def test_the_readout_says_the_surprise(opened: Open, whole: Path) -> None:
    page = opened(whole)
    assert page.locator(".now").first.inner_text().startswith("Bar 1: ")
    assert page.locator(".now").first.inner_text().endswith(" nats")
    assert "; frame 1: " in page.locator(".now").first.inner_text()


def test_the_saved_file_is_the_piece(opened: Open, tmp_path: Path) -> None:
    from tinydl.data import midi

    page = opened(pieces(tmp_path, Piece("Bent", bent(), file="bent.mid")))
    with page.expect_download() as waiting:
        page.locator(".save").click()
    assert waiting.value.suggested_filename == "bent.mid"
    waiting.value.save_as(tmp_path / "bent.mid")
    assert midi.read(tmp_path / "bent.mid")[0].notes == bent().notes


def test_without_audio_one_sentence_and_the_rest_of_the_page(opened: Open, whole: Path) -> None:
    page = opened(whole, script="delete window.AudioContext; delete window.webkitAudioContext;")
    notice = page.get_by_role("status")
    assert notice.inner_text().startswith("Nothing can be played here, because this browser has no audio")
    assert notice.inner_text().count(".") == 2  # one sentence, and ".mid"
    assert page.locator(".controls:visible").count() == 0
    assert page.locator(".roll:visible").count() == 3 and page.locator(".chart:visible").count() == 3
    assert page.locator(".save:visible").count() == 4


@pytest.mark.parametrize(
    "script",
    [
        "window.AudioContext = class { constructor() { throw new Error('no device'); } };",
        "AudioContext.prototype.resume = async () => { throw new Error('no device'); };",
    ],
)
def test_audio_that_fails_is_one_sentence_too(opened: Open, whole: Path, script: str) -> None:
    page = opened(whole, script=script)
    page.locator(".play").first.click()
    notice = page.get_by_role("status")
    notice.wait_for()
    assert "because this browser's audio cannot be used (no device)" in notice.inner_text()
    assert page.locator(".controls:visible").count() == 0 and page.locator(".roll:visible").count() == 3


def test_without_javascript_all_but_the_players_is_there(opened: Open, whole: Path) -> None:
    page = opened(whole, java_script_enabled=False)
    assert "Playing needs JavaScript" in page.locator("noscript").inner_text()
    assert page.locator(".play:visible").count() == 0
    assert page.locator(".roll:visible").count() == 3 and page.locator("table:visible").count() == 1


def test_the_policy_stops_a_foreign_script(chromium: Any, whole: Path) -> None:
    page = chromium.new_context(offline=True).new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(whole.as_uri())
    page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        " document.body.append(s); fetch('https://example.org/').catch(() => 0); })()"
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None
    assert any("script-src" in line for line in refused) and any("connect-src" in line for line in refused)
    page.context.close()


def test_the_page_of_a_run_plays(opened: Open, trained: Path, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "run.html"
    code, _, err = quietly("report", trained, "--html", path, "--num", "2", "--bars", "4")
    assert code == 0, err
    page = opened(path)
    assert page.locator(".piece").count() == 3 and page.locator(".chart").count() == 3
    play(page)
    reaches(page, 0.2)
