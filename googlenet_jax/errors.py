"""The one exception for what a user can get wrong, and how the commands show it."""

import os
import sys
from collections.abc import Callable

_MOST_SHOWN = 4096  # characters of an error, in which there may be a path


class UserError(Exception):
    """Something a user can mend: its message is one line that names the thing and the way out."""


def shown(text: str, most: int = 80) -> str:
    """A text from a file as a message may show it: what does not print is replaced, what is too long is cut."""
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(character if character.isprintable() else "?" for character in cut)


def where(path: object) -> str:
    """A path as a message names it: a relative one with the directory that it is relative to."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else str(path)
    return shown(text, 400) if "://" in text or os.path.isabs(text) else f"{shown(text, 400)} (in {os.getcwd()})"


def reason(error: BaseException, most: int = 200) -> str:
    """What an exception says, as one line that can be shown; its kind if it says nothing."""
    return shown(" ".join(str(error).split()) or type(error).__name__, most)


def run_command(command: Callable[[], int | None], debug: bool = False) -> int:
    """Runs a command; a mistake of the user's becomes one line on standard error.

    Args:
      command: called without arguments; its result is the exit status, None for 0.
      debug: let the traceback through.

    Returns:
      The exit status: 2 for a `UserError` or an `OSError`, 130 for an interrupt.
    """
    if hasattr(sys.stdout, "reconfigure"):  # names of files and classes are printed, whatever bytes they are of
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return command() or 0
    except UserError as error:
        if debug:
            raise
        message = str(error)
    except BrokenPipeError:  # the reader of our output (head, less) left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    except RuntimeError as error:
        if debug or "RESOURCE_EXHAUSTED" not in str(error):
            raise
        message = "out of device memory: lower config.batch_size, or raise config.optimizer.accumulate_steps"
    except KeyboardInterrupt:
        if debug:
            raise
        print("interrupted", file=sys.stderr)
        return 130
    print(f"error: {shown(' '.join(message.split()), _MOST_SHOWN)}", file=sys.stderr)
    return 2
