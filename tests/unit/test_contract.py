"""The wire."""

from __future__ import annotations

from typing import Any

import pytest

from rbee_widgets import contract
from rbee_widgets.contract import ModelDownload, OperationError, parse_operation


def test_an_operation_is_one_flat_object() -> None:
    operation = ModelDownload(hive_id="h", model="org/repo")
    assert operation.model_dump(exclude_none=True) == {
        "operation": "model_download",
        "hive_id": "h",
        "model": "org/repo",
    }
    assert parse_operation({**operation.model_dump(), "unknown": 1}) == operation


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "missing field `operation`"),
        ({"operation": "model_download"}, "missing field `hive_id`"),
        ({"operation": "model_download", "hive_id": "h"}, "missing field `model`"),
        (
            {"operation": "model_list", "hive_id": 3},
            "invalid type: integer `3`, expected a string",
        ),
        ([], "invalid type: sequence, expected internally tagged enum Operation"),
        (None, "invalid type: null, expected internally tagged enum Operation"),
    ],
)
def test_nonsense_is_refused_in_serdes_words(value: Any, text: str) -> None:
    with pytest.raises(OperationError) as raised:
        parse_operation(value)
    assert str(raised.value) == text


def test_each_line_of_a_text_is_a_data_line() -> None:
    assert contract.sse("a\nb\n") == b"data: a\ndata: b\ndata: \n\n"
    assert contract.sse("x", event="data", event_id=3) == b"event: data\nid: 3\ndata: x\n\n"
