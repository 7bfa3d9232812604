"""TensorBoard's files, read back by TensorBoard."""

import sys
import types

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

# Where there is such a module, TensorBoard reads by itself, without TensorFlow, which takes seconds to import.
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")


def read_board(directory):
    """All that the files of a directory hold."""
    return EventAccumulator(str(directory), size_guidance={"tensors": 0, "images": 0}).Reload()


def read_boards(directory):
    """The runs below a directory."""
    return EventMultiplexer().AddRunsFromDirectory(str(directory)).Reload()
