"""The terminal: one console for all that is printed, and the log on it."""

import logging
import os
import sys
from io import TextIOWrapper

from rich.console import Console

# What is printed may come from files' names: ":cat:" is no emoji there.
console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
error_console = Console(highlight=False, emoji=False, stderr=True)
log = logging.getLogger(__name__)


class _Steady:
    """A standard stream whose failures end nothing: the terminal is gone, the pipe closed, the text not encodable.

    After the first it leads nowhere, and so does the file descriptor, at which Python would fail again when it ends.
    """

    def __init__(self, stream: TextIOWrapper):
        self._stream = stream
        stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        descriptor = self._stream.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        self._stream = open(descriptor, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        log.warning("nothing can be printed any more (%s); all else goes on, and a training has its train.log", error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _ConsoleHandler(logging.Handler):
    """Prints above the progress bar, without folding lines; warnings go to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            console.print(record.getMessage(), soft_wrap=True, markup=False)
        else:
            text = f"{record.levelname.lower()}: {record.getMessage()}"
            error_console.print(text, soft_wrap=True, markup=False)


def print_what_can_be() -> None:
    """From now on the process goes on when nothing can be printed any more."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            setattr(sys, name, _Steady(stream))


def show_log(alone: bool = False, steady: bool = False) -> None:
    """Sends this package's log messages to the terminal; of several processes the first speaks, others tell of errors.

    Args:
      alone: there are no other processes; then JAX is not asked, and takes no device.
      steady: see `print_what_can_be`.
    """
    if steady:
        print_what_can_be()
    root = logging.getLogger("googlenet_jax")
    root.addHandler(_ConsoleHandler(logging.NOTSET if alone or _is_first() else logging.ERROR))
    root.setLevel(logging.INFO)
    root.propagate = False
    # What Orbax raises of a full disk it also logs with a traceback, and writes that end later find nobody waiting.
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.unraisablehook = _show_unraisable


def _is_first() -> bool:
    import jax

    return jax.process_index() == 0


def _show_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)
