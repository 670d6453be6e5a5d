"""The page on which a recorded launch is stepped through, warp by warp: source, instructions, and all 32 lanes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinydl.page.page import framed, part, style
from tinydl.page.svg import text

if TYPE_CHECKING:
    from tinydl.kernels.simt.trace import Event, Trace


def trace_page(trace: Trace, source: str, title: str, summary: str) -> str:
    """The file's text. source: the CUDA C++, whose lines the instructions name."""
    program = part("trace.js")
    sections = [("step", "Step by step", _stepper(trace)), ("counts", "What the launch did", _counts(trace))]
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{text(heading)}</h2>{inner}</section>\n'
        for name, heading, inner in sections
    )
    texts = (
        f'<div class="texts">{_text("source", "CUDA C++", source.splitlines())}'
        f'{_text("program", "PTX, calls put in line", _instructions(trace))}</div>'
    )
    body = body.replace("<!--texts-->", texts)
    links = "".join(f'<li><a href="#{name}">{text(heading)}</a></li>' for name, heading, _ in sections)
    keys = ' <span class="keys">Keys: <kbd>←</kbd> <kbd>→</kbd> one step.</span>'
    return framed(title, summary, links, body, style() + "\n" + part("trace.css"), program, keys=keys)


def _stepper(trace: Trace) -> str:
    warps = sorted({event.warp for event in trace.events})
    choices = "".join(f'<option value="{w}">warp {w}</option>' for w in warps)
    boxes = "".join(f"<li><b>{lane}</b><span></span><span></span></li>" for lane in range(32))
    return (
        '<noscript><p class="notice">Stepping needs JavaScript, which is off in this browser.</p></noscript>'
        '<div class="stepper"><div class="buttons"><button id="back" type="button">← back</button>'
        '<button id="on" type="button">step →</button>'
        f'<label>Follow <select id="warp"><option value="">all warps</option>{choices}</select></label>'
        '<output id="count"></output></div>'
        '<input id="at" type="range" min="0" value="0" aria-label="step">'
        '<p class="what"><code id="instruction"></code><br><span id="about"></span></p></div>'
        f'<ol class="lanes" aria-label="the 32 threads of the warp">{boxes}</ol><!--texts-->'
        f'<script type="application/json" id="trace">{_data(trace)}</script>'
    )


def _data(trace: Trace) -> str:
    """Events and instructions as JSON, in which no "<" can end the element."""
    program = [(i.text, i.source[1] if i.source else 0, _note(i.guard)) for i in trace.program.instructions]
    made = json.dumps({"events": [_event(e) for e in trace.events], "program": program}, separators=(",", ":"))
    return made.replace("<", "\\u003c")


def _event(event: Event) -> list[Any]:
    return [
        event.number, event.warp, event.came, event.active, event.name, event.values,
        [f"{place:x}" for place in event.places], event.cost,
    ]  # fmt: skip


def _note(guard: Any) -> str:
    return f"only where {guard.name}" if guard is not None else ""


def _instructions(trace: Trace) -> list[str]:
    found = []
    for i in trace.program.instructions:
        guard = f"@{'!' if i.negated else ''}{i.guard.name} " if i.guard else ""
        found.append(f"{guard}{i.text};")
    return found


def _text(name: str, heading: str, lines: Sequence[str]) -> str:
    """A box of numbered lines."""
    inner = "".join(f"<code><i>{number}</i>{text(line)}</code>" for number, line in enumerate(lines, 1))
    box = f'<pre id="{name}" tabindex="0" aria-labelledby="{name}-name">{inner}</pre>'
    return f'<div><h3 id="{name}-name">{heading}</h3>{box}</div>'


def _counts(trace: Trace) -> str:
    counted = trace.counted
    rows = [
        ("grid, block", f"{counted.grid}, {counted.block}"),
        ("instructions of warps", f"{counted.warps}"),
        ("threads active", f"{counted.active:.0%}"),
        ("sectors of global memory", f"{counted.sectors}, {counted.coalescing:.0%} of them at best"),
        ("bank conflicts", f"{counted.bank_conflicts}"),
        ("branches that part a warp", f"{counted.divergence:.0%}"),
        ("barriers", f"{counted.barriers}"),
        ("shared memory", f"{counted.shared} bytes"),
    ]
    return '<dl class="values">' + "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows
    ) + "</dl>"  # fmt: skip
