"""The terminal: one console for all that is printed, and the log on it."""

import logging
import sys

import jax
from rich.console import Console

console = Console(highlight=False)
_error_console = Console(highlight=False, stderr=True)


class _ConsoleHandler(logging.Handler):
    """Prints above the progress bar, without folding lines; warnings go to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            console.print(record.getMessage(), soft_wrap=True, markup=False)
        else:
            text = f"{record.levelname.lower()}: {record.getMessage()}"
            _error_console.print(text, soft_wrap=True, markup=False)


def show_log() -> None:
    """Sends this package's log messages to the terminal; of several processes the first alone speaks."""
    root = logging.getLogger("googlenet_jax")
    root.addHandler(_ConsoleHandler() if jax.process_index() == 0 else logging.NullHandler())
    root.setLevel(logging.INFO)
    root.propagate = False
    # What Orbax raises of a full disk it also logs with a traceback, and writes that end later find nobody waiting.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    sys.unraisablehook = _show_unraisable


def _show_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)
