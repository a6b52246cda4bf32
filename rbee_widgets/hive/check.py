"""`hive_check`: a hive narrates for a second, to show that its streams work."""

from __future__ import annotations

import asyncio
from typing import Final

from rbee_widgets.hive.jobs import Job, JobCancelledError

_HIVE: Final = "rbee_hive::operations::hive::handle_hive_operation"
_CHECK: Final = "rbee_hive::hive_check::handle_hive_check"

_STEP_S: Final = 0.1
_SEQUENCE_STEP_S: Final = 0.05
_CHECKS: Final = (
    ("test_1", "📝 Test 1: Simple narration through hive"),
    ("test_2", "📝 Test 2: rbee-hive version 0.1.0 reporting"),
    ("test_3", "📝 Test 3: Testing Human Mode"),
    ("mode_test", "Testing narration in human mode via hive SSE"),
    ("test_4", "📝 Test 4: Testing Cute Mode"),
    ("mode_test", "🐝 Testing narration in cute mode via hive SSE!"),
    ("test_5", "📝 Test 5: Testing Story Mode"),
    ("mode_test", "'Testing narration through the hive', said the server"),
    ("test_6", "📝 Test 6: Hex: ff, Debug: [1, 2, 3], Float: 3.14"),
    ("test_7", "📝 Test 7: Sequential narrations"),
    *(("sequence", f"Narration sequence {i}/5 streaming via hive SSE") for i in range(1, 6)),
    ("test_8", "📝 Test 8: Job ID context propagation"),
    ("job_context", "✅ This narration is routed via job_id to your SSE stream"),
    ("test_9", "📝 Test 9: Partial mode combinations"),
    ("partial_test", "Technical message streamed from hive to client"),
    ("test_10", "📝 Test 10: Final summary"),
    ("hive_check_complete", "✅ Hive check complete - all SSE narration tests passed"),
    ("summary", "✨ Hive narration test complete - hive SSE streaming tested successfully"),
)


async def hive_check(job: Job) -> None:
    """Narrate, as a real hive does."""
    await job.narrate(_HIVE, "hive_check_start", "🔍 Starting hive narration check")
    await job.narrate(
        _CHECK, "test_start", "🔍 Hive Narration Test - Testing SSE streaming from hive"
    )
    for action, text in _CHECKS:
        if job.cancel_asked.is_set():
            raise JobCancelledError
        if action.startswith("test_"):
            await asyncio.sleep(_STEP_S)
        elif action == "sequence":
            await asyncio.sleep(_SEQUENCE_STEP_S)
        await job.narrate(_CHECK, action, text)
    await job.narrate(_HIVE, "hive_check_complete", "✅ Hive narration check complete")
