"""Mutants are generated as they say, and answers are read from the source."""

from __future__ import annotations

import pytest

from tinydl.kernels.simt.mutants import mutants, only
from tinydl.lab.cuda import answers


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    __syncthreads();", [("barrier", "")]),
        ("    __syncwarp(0xff);", [("barrier", "")]),
        ("    __threadfence();", [("barrier", "")]),
        ("if (row < M)", [("bound", "if (row <= M)"), ("bound", "if (row < -1 + M)")]),
        ("if (n >= 4)", [("bound", "if (n >= -1 + 4)"), ("bound", "if (n > 4)")]),
        ("x = a > b ? a : b;", [("bound", "x = a >= b ? a : b;"), ("bound", "x = a > 1 + b ? a : b;")]),
        ("y = A[i * K + 1];", [("stride", "y = A[i * (K + 1) + 1];"), ("stride", "y = A[i * (K - 1) + 1];")]),
        ("i += 1;", [("stride", "i += (1 + 1);")]),
        ("i += 32;", [("stride", "i += (32 + 1);"), ("stride", "i += (32 - 1);")]),
        ("T sum = 0;", [("init", "T sum = __int_as_float(0x7fffffff);")]),
        ("int n = 0;", [("init", "int n = (-1 - 0x7ffffff0);")]),
        ("float s[4] = {0};", [("init", "float s[4] = {__int_as_float(0x7fffffff)};")]),
        ("v = inside ? A[k] : 0;", [("init", "v = inside ? A[k] : __int_as_float(0x7fffffff);")]),
        ("for (int k = 0;;)", [("bound", "for (int k = 1;;)"), ("bound", "for (int k = -1;;)")]),
        ("s += a[i] * b[j];", []),
        ("if (n == 0 || m != 0)", []),
        ("// if (row < M) __syncthreads();", []),
        ("#define TILE 16 * 2", []),
        ("template <typename T>", []),
        ("x = 1; // x < M", []),
    ],
    ids=lambda value: value.strip() if isinstance(value, str) else "",
)
def test_slips_of_a_line(line: str, expected: list[tuple[str, str]]) -> None:
    found = list(mutants(f"first\n{line}\nlast"))
    assert [(m.kind, m.text.split("\n")[1].strip()) for m in found] == expected
    assert all(m.line == 2 and m.text.split("\n")[::2] == ["first", "last"] for m in found)


def test_a_mutant_names_its_change() -> None:
    first, second = mutants("if (row < M) // inside\n    return;")
    assert (first.line, first.change, first.result) == (1, "(row < M -> (row <= M", "if (row <= M)")
    assert second.text == "if (row < -1 + M) // inside\n    return;"


def test_only_some_entries() -> None:
    first = 'int helper();\nextern "C" __global__ void\na(int n)\n{\n    if (n) {\n    }\n}\n'
    text = first + 'extern "C" void b()\n{\n}\nend\n'
    assert only(text, ["b"]) == "int helper();\n\n\n\n\n\n\n" + 'extern "C" void b()\n{\n}\nend\n'
    assert only(text, ["a", "b"]) == text


def test_answers_are_read_from_comments() -> None:
    text = "// lives: for (;;) {\n//   because of\n//   this\n//\n// lives: x = 1;\n// no reason\nvoid k();\n"
    assert answers(text) == {"for (;;) {": "because of this", "x = 1;": ""}
