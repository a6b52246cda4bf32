"""What a user may name."""

from __future__ import annotations

import pytest

from rbee_widgets.links import Target, read_target
from rbee_widgets.state import Type


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("org/repo", Target(Type.MODEL, "org/repo")),
        (" org/repo:sub/f.gguf ", Target(Type.MODEL, "org/repo:sub/f.gguf")),
        ("https://example.org/f.gguf", Target(Type.MODEL, "https://example.org/f.gguf")),
        ("rbee://model/org/repo:f.gguf", Target(Type.MODEL, "org/repo:f.gguf")),
        ("rbee://model?id=org/repo", Target(Type.MODEL, "org/repo")),
        ("rbee://install/model?id=org/repo&worker=cpu", Target(Type.MODEL, "org/repo")),
        ("rbee://download-model/org%2Frepo%3Af.gguf", Target(Type.MODEL, "org/repo:f.gguf")),
        ("rbee://install-worker/llm-worker-rbee", Target(Type.WORKER, "llm-worker-rbee")),
    ],
)
def test_every_form_is_read(text: str, target: Target) -> None:
    assert read_target(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "   ", "a\nb", "x" * 3000, "rbee://marketplace", "rbee://model/", "rbee://model/a%0Ab"],
)
def test_what_names_nothing_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        read_target(text)
