"""The hives that a tracker knows: which one is meant by a name, and whether it answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from rbee_widgets import discovery
from rbee_widgets.client import Hive
from rbee_widgets.errors import UnknownHiveError
from rbee_widgets.listing import Listing
from rbee_widgets.outage import Outage

LOCAL: Final = "local"
"""The name of this user's own hive on this machine."""


class Hives:
    """Hives by their ids; the first one given is used where none is named.

    Parameters
    ----------
    given
        Known from the beginning.
    clock
        Seconds of a monotonic clock.

    """

    def __init__(self, given: Iterable[Hive], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_id: dict[str, Hive] = {}
        self._shared: dict[Hive, tuple[Outage, Listing]] = {}
        """What is asked of each but once; also of those whose ids others have now."""
        for hive in given:
            self.add(hive)
        self.preferred = next(iter(self), None)
        """The one used where none is named; None: it has to be found."""

    def __iter__(self) -> Iterator[Hive]:
        return iter(tuple(self._by_id.values()))

    def add(self, hive: Hive) -> None:
        """Make a hive known by its id, in the place of any other of that id."""
        self._by_id[hive.id] = hive
        self._shared.setdefault(hive, (Outage(hive, self._clock), Listing(hive)))

    def chosen(self, hive: Hive | str | None) -> Hive | None:
        """Give the hive that is meant: by itself, its id or its URL; None: the preferred one.

        Raises
        ------
        UnknownHiveError, HiveUrlError
            It means none.

        """
        if hive is None:
            return self.preferred
        if isinstance(hive, Hive):
            return self.known(hive)
        if hive in self._by_id:
            return self._by_id[hive]
        if "://" in hive:
            named = os.environ.get("RBEE_HIVE_URL") or hive
            return self.known(Hive(hive, token=_token_for(hive, named)))
        if hive == LOCAL:
            return self.known(Hive.local())
        raise UnknownHiveError(hive, [LOCAL, *self._by_id])

    def known(self, hive: Hive) -> Hive:
        """Give the handle on the same hive that is known, so that it is one; else learn it."""
        known = self._by_id.get(hive.id)
        if known is None or not known.is_same_as(hive):
            self.add(hive)
            return hive
        return known

    def remembered(self, name: str, url: str | None) -> Hive:
        """Give the hive that was used before; `url` None is this user's own.

        A token is not remembered: it comes from a hive that is known, or the environment.
        """
        if url is None:
            return self.known(Hive.local())
        for hive in self:
            if not hive.is_local and hive.url == url:
                return hive
        named = os.environ.get("RBEE_HIVE_URL", "")
        return self.known(Hive(url, name, _token_for(url, named)))

    async def find(self) -> Hive:
        """Give the hive to use where none is named."""
        return self.preferred or self.known(await discovery.find())

    def outage(self, hive: Hive) -> Outage:
        """Give what waits for a hive that does not answer."""
        return self._shared[hive][0]

    def listing(self, hive: Hive) -> Listing:
        """Give what lists a hive's catalog."""
        return self._shared[hive][1]

    async def aclose(self) -> None:
        """Close all connections of the running loop."""
        for hive in self._shared:
            await hive.aclose()


def _token_for(url: str, named: str) -> str | None:
    """Give the environment's token to the hive that it is `named` for, and to no other."""
    is_named = url.rstrip("/") == named.rstrip("/")
    return os.environ.get("RBEE_HIVE_TOKEN") if is_named else None
