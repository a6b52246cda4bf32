"""Tasks with an owner, on one loop that everybody can reach.

What comes in from elsewhere (a button's message on another thread, a call from a script) must wake
the loop: it passes through `call_soon_threadsafe`, here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)


def in_kernel() -> bool:
    """Whether this is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def unasked() -> contextvars.Context:
    """Give a context in which what is sent to a page answers none of its messages.

    ipykernel 7.4 hands a page's message to the subshell that last answered one by the same comm,
    and takes all that is sent while a cell runs for that cell's answer: the page would be heard by
    the main shell alone, once the cell has ended. What answers nothing leaves the page its own way.
    """
    context = contextvars.copy_context()
    if in_kernel():
        parent = getattr(sys.modules["IPython"].get_ipython().kernel, "_shell_parent", None)
        if parent is not None:  # a kernel has it from ipykernel 7 on
            context.run(parent.set, {})
    return context


def run_elsewhere(work: Coroutine[Any, Any, _T]) -> _T:
    """Do work on a loop of its own and wait for it: where the running loop can't be awaited."""
    pool = ThreadPoolExecutor(1, "rbee_widgets elsewhere")
    try:
        return pool.submit(asyncio.run, work).result()
    finally:
        pool.shutdown(wait=False)  # an interrupt ends the waiting at once


def in_marimo() -> bool:
    """Whether this is a marimo notebook or app, and not a script that happens to import marimo."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and marimo.running_in_notebook()


class Background:
    """The tasks of one owner: kept, their failures logged, none left after `aclose`.

    They run on the running loop (a kernel's own); on one in a daemon thread where none runs, or
    `in_thread` says so.
    """

    def __init__(self, *, in_thread: bool = False) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread: threading.Thread | None = None
        running = None if in_thread else _running_loop()
        self.loop = running or asyncio.new_event_loop()
        if running is None:
            self._thread = threading.Thread(
                target=self.loop.run_forever, name="rbee_widgets", daemon=True
            )
            self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on this loop."""
        return _running_loop() is self.loop

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function on the loop: at once from there, soon from any other thread."""
        if self.is_here:
            function(*arguments)
        else:
            self.loop.call_soon_threadsafe(function, *arguments)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task; to be called on the loop."""
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s broke", task.get_name(), exc_info=error)

    async def here(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do work on the loop, from whichever loop."""
        if self.is_here:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def aclose(self) -> None:
        """Cancel all tasks and wait for their ends; to be called on the loop."""
        mine = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        if mine:
            await asyncio.wait(mine)

    async def end(self) -> None:
        """End the thread, if it is ours; to be called on another loop."""
        if self._thread is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            await asyncio.to_thread(self._thread.join)
            self.loop.close()


class Question(Generic[_T]):
    """What one task asks, for all who wait for its answer; it ends with the last of them."""

    def __init__(self, asking: Coroutine[Any, Any, _T], name: str) -> None:
        self._task = asyncio.create_task(asking, name=name)
        self._waiting = 0

    @property
    def is_open(self) -> bool:
        """Whether there is no answer yet."""
        return not self._task.done()

    async def answer(self) -> _T:
        """Wait for the answer; raises what the task raised."""
        self._waiting += 1
        try:
            await asyncio.wait({self._task})
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                self._task.cancel()
                await asyncio.wait({self._task})
        return self._task.result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
