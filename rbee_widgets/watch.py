"""Watches, in its catalog, for what a hive no longer tells of: jobs go on though nobody listens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from rbee_widgets.attempt import Attempt
from rbee_widgets.errors import RbeeError
from rbee_widgets.listing import Listing

FIRST_S: Final = 5.0
"""Seconds before the first look; each further one waits half as long again."""

LONGEST_S: Final = 60.0
FOR_S: Final = 3600.0
"""Seconds after which it looks no more: each look is a job that a real hive keeps for ever."""


async def watch(listing: Listing, waiting: Callable[[], list[Attempt]]) -> None:
    """Look now and then whether what `waiting` gives has arrived, for as long as it gives any."""
    pause = FIRST_S
    loop = asyncio.get_running_loop()
    end = loop.time() + FOR_S
    while loop.time() < end:
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 (no secret)
        pause = min(LONGEST_S, pause * 1.5)
        if not waiting():
            return
        with suppress(RbeeError):
            models = await listing.models()
            for attempt in waiting():
                attempt.settle(models)
