"""What a run left, read back for comparison."""

import numpy as np
import orbax.checkpoint as ocp


def final_bytes(run):
    """All bytes of a run's newest checkpoint: parameters, averages, optimizer."""
    newest = newest_checkpoint(run)
    leaves = {}
    for item in ("variables", "ema", "training"):
        for path, leaf in leaves_of(ocp.StandardCheckpointer().restore(newest / item), item):
            leaves[path] = np.asarray(leaf).tobytes()
    return newest.name, leaves


def newest_checkpoint(run):
    """Directory of the last step."""
    return max((p for p in (run / "checkpoints").iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))


def leaves_of(tree, prefix=""):
    """(path, leaf) of a tree of dictionaries and lists; None is no leaf."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves_of(value, f"{prefix}/{key}")
    elif isinstance(tree, list | tuple):
        for key, value in enumerate(tree):
            yield from leaves_of(value, f"{prefix}/{key}")
    elif tree is not None:
        yield prefix, tree
