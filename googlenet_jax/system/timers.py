"""What is to happen later."""

import threading
from collections.abc import Callable


def after(delay: float, action: Callable[[], None]) -> threading.Timer:
    """Does something after so many seconds, unless the timer is cancelled or the process ends before."""
    timer = threading.Timer(delay, action)
    timer.daemon = True
    timer.start()
    return timer
