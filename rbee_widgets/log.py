"""The log of a tracker: all that its hives have said, bounded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final, NamedTuple

from rbee_widgets.narration import Failed, Level, Narration, Progressed, actor, level

MAX_LINES: Final = 50_000
"""Lines that are kept,"""

MAX_CHARACTERS: Final = 20_000_000
"""and characters in all of them."""

MAX_LINE: Final = 2000
"""Characters of a line that are kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who speaks: a download, by its id and its name, in a job of a hive."""

    id: str
    name: str
    hive: str
    job_id: str | None


class Line(NamedTuple):
    """One line of narration; a later one of the same `n` replaces it.

    `n` counts lines and `revision` what was said, both within the tracker; `at` is Unix seconds.
    """

    n: int
    revision: int
    at: float
    source: Source
    level: Level
    actor: str | None
    action: str | None
    text: str
    passing: bool
    """Whether it is a figure that the next one outdates."""


class Log:
    """The newest lines, in the order in which they were said or replaced."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self._n = 0
        self._characters = 0
        self.revision = 0
        """Of the newest line; 0: none."""

    def __len__(self) -> int:
        return len(self._lines)

    def hear(
        self, source: Source, said: Narration | Failed, at: float, *, last: Line | None
    ) -> Line:
        """Keep what is said; a figure takes the place of `last`, the source's own, if it is one."""
        passing = isinstance(said, Progressed)
        self.revision += 1
        if passing and last is not None and last.passing:
            n = last.n
        else:
            self._n += 1
            n = self._n
        action = "failed" if isinstance(said, Failed) else said.action
        text = said.error if isinstance(said, Failed) else said.human
        line = Line(
            n,
            self.revision,
            at,
            source,
            level(said),
            actor(said),
            action,
            text[:MAX_LINE],
            passing,
        )
        self._drop(n)
        self._lines[n] = line
        self._characters += len(line.text)
        while len(self._lines) > MAX_LINES or self._characters > MAX_CHARACTERS:
            self._drop(next(iter(self._lines)))
        return line

    def _drop(self, n: int) -> None:
        line = self._lines.pop(n, None)
        if line is not None:
            self._characters -= len(line.text)

    def since(self, revision: int) -> list[Line]:
        """Give what was said after a revision, oldest first."""
        newer = list(
            takewhile(lambda line: line.revision > revision, reversed(self._lines.values()))
        )
        newer.reverse()
        return newer

    def before(self, revision: int, most: int) -> list[Line]:
        """Give the newest of what was said before a revision, oldest first."""
        older = (line for line in reversed(self._lines.values()) if line.revision < revision)
        lines = list(islice(older, most))
        lines.reverse()
        return lines
