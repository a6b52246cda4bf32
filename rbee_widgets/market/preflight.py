"""What a hive's downloads tell of the next one: the disk that is promised, the speed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from rbee_widgets.state import Status

RECENT: Final = 3
"""Downloads that are over, of which the usual speed is made: of one alone, it may be tiny."""

_STILL_COMES: Final = frozenset({Status.QUEUED, Status.DOWNLOADING, Status.FINISHING})


class Figures(Protocol):
    """What is asked of a download; a `Download` tells it."""

    @property
    def hive(self) -> str:
        """The id of the hive that fetches."""

    @property
    def status(self) -> Status:
        """Where it stands."""

    @property
    def bytes_downloaded(self) -> int:
        """Bytes that are there."""

    @property
    def total_size(self) -> int | None:
        """Bytes in all, None while unknown."""

    @property
    def speed(self) -> float | None:
        """Bytes per second, None while unknown or when nothing flows."""

    @property
    def usual_speed(self) -> float | None:
        """Bytes per second while they flowed, after the end too; None while unknown."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes to one hive."""

    promised: int
    """Bytes that running downloads still have to fetch; one that knows no total adds none."""
    speed: float | None
    """Bytes per second of late, None where nothing tells."""


def traffic(downloads: Iterable[Figures], hive: str) -> Traffic:
    """Sum up the downloads of one hive, newest first, as a tracker gives them.

    The speed is what flows now, by all of them; a stall says nothing of the next download. Where
    nothing flows it is that of the newest ones that are over, each for as long as it flowed.
    """
    here = [download for download in downloads if download.hive == hive]
    promised = sum(
        max(0, download.total_size - download.bytes_downloaded)
        for download in here
        if download.status in _STILL_COMES and download.total_size is not None
    )
    flowing = sum(download.speed or 0.0 for download in here)
    return Traffic(promised, flowing or _usual_speed(here))


def _usual_speed(downloads: Iterable[Figures]) -> float | None:
    """Give the mean speed of the newest that are over and brought something, by their bytes."""
    told = (
        (download.bytes_downloaded, download.usual_speed)
        for download in downloads
        if download.status.is_final and download.bytes_downloaded
    )
    recent = list(islice(((size, speed) for size, speed in told if speed), RECENT))
    seconds = sum(size / speed for size, speed in recent)
    return sum(size for size, _ in recent) / seconds if seconds else None
