"""Work done ahead in threads, given in order."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def in_order(
    threads: Executor, make: Callable[[_Given], _Made], items: Iterable[_Given], ahead: int
) -> Iterator[_Made]:
    """Maps a function over items as `map` does, in threads, and no more than so many items ahead of who takes them.

    Args:
      threads: in which the function runs.
      make: the function.
      items: read one by one.
      ahead: of them may be under way.

    Yields:
      What the function makes of each, in the items' order.
    """
    waiting: collections.deque[Future[_Made]] = collections.deque()
    for item in items:
        waiting.append(threads.submit(make, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
