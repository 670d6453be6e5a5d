"""The page that steps through a recorded launch, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import Open
from tests.simt.test_trace import recorded
from tinydl.cli import main
from tinydl.kernels import nvrtc
from tinydl.page.page import write_text
from tinydl.page.trace import trace_page

SOURCE = "// <b>source</b> & more\nfirst();\nsecond();\nthird();\nload();\n"


@pytest.fixture
def page(opened: Open, tmp_path: Path) -> Any:
    path = tmp_path / "trace.html"
    write_text(trace_page(recorded(), SOURCE, "A kernel & its <trace>", "To be stepped through."), path)
    return opened(path)


def boxes(page: Any, kind: str) -> list[int]:
    """The lanes that are shown in some way."""
    found = page.locator(".lanes li").evaluate_all("(all, kind) => all.map(b => b.className === kind)", kind)
    return [lane for lane, is_so in enumerate(found) if is_so]


def go_to(page: Any, text: str) -> None:
    """Step until an instruction is shown."""
    for _ in range(200):
        if page.locator("#instruction").inner_text().startswith(text):
            return
        page.keyboard.press("ArrowRight")
    raise AssertionError(f"{text} was never shown")


def test_stepping(page: Any) -> None:
    assert page.title() == "A kernel & its <trace>" and page.locator("#back").is_disabled()
    page.locator("#warp").select_option("1")
    page.locator("#on").focus()
    go_to(page, "st.shared")
    assert boxes(page, "active") == list(range(8)) and boxes(page, "came") == list(range(8, 32))
    assert page.locator(".lanes li").nth(3).inner_text().split() == ["3", "35", "@", "118"]  # 8 * 35, in hexadecimal
    assert page.locator(".lanes li").nth(9).inner_text().split() == ["9", "guard", "false"]
    about = page.locator("#about").inner_text()
    assert "warp 1; 8 of 32 threads" in about and "below: %f1" in about and "only where %p1" in about
    assert page.locator("#source .here").inner_text() == "3second();"
    assert "st.shared.f32 [%r1], %f1" in page.locator("#program .here").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#instruction").inner_text().startswith("mad.lo")


def test_following_one_warp_and_the_slider(page: Any) -> None:
    page.locator("#warp").select_option("0")
    page.locator("#on").click()
    assert "warp 0" in page.locator("#about").inner_text() and "step 3 of" in page.locator("#count").inner_text()
    page.locator("#at").evaluate("s => { s.value = s.max; s.dispatchEvent(new Event('input')); }")
    assert page.locator("#instruction").inner_text() == "ret" and page.locator("#on").is_disabled()
    assert "<b>source</b>" in page.locator("#source").inner_text()


@pytest.mark.parametrize("width", [360, 900, 1600])
def test_the_page_fits(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not nvrtc.available(), reason=f"needs NVRTC: {nvrtc.PIP}")
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], opened: Open) -> None:
    path = tmp_path / "tiled.html"
    assert main(["kernels", "trace", "matmul:cuda.tiled", "--html", str(path), "--warps", "1"]) == 0
    assert "steps of matmul:cuda.tiled" in capsys.readouterr().out
    shown = opened(path)
    shown.locator("#on").focus()
    go_to(shown, "bar.sync")
    assert "__syncthreads" in shown.locator("#source .here").inner_text()
    assert main(["kernels", "trace", "matmul", "--html", str(path)]) == 2
    assert "means several kernels" in capsys.readouterr().err
    assert main(["kernels", "trace", "matmul:cuda.tiled", "--html", "tiled.txt"]) == 2
