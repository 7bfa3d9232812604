"""Packs encoded images into ArrayRecord shards (`data.sources.records`); what was stopped goes on after the last."""

import collections
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from array_record.python.array_record_module import ArrayRecordWriter

from googlenet_jax.data.sources.records import FORMAT, INDEX, VERSION
from googlenet_jax.errors import UserError, reason
from googlenet_jax.prepare.form import AS_THEY_ARE, Form, Stored, storing
from googlenet_jax.system.ahead import in_order
from googlenet_jax.system.files import lock, replace_file
from googlenet_jax.system.runtime import cpu_cores

SHARD_IMAGES = 10_000
_PROGRESS, _LOCK = "unfinished.json", "lock"
_OPTIONS = "group_size:1,uncompressed"  # each record for itself; images are compressed already


class Item(NamedTuple):
    """An image to pack.

    Attributes:
      label: index of its class.
      name: for messages.
      data: the image file.
      after: where its stream goes on behind it, a JSON value.
      done: how far the stream is, in the unit of its `total`.
    """

    label: int
    name: str
    data: bytes
    after: Any
    done: int


class Stream(Protocol):
    """The images of one split, in an order that can be taken up anywhere.

    Attributes:
      split: "train" or "val".
      total: images or bytes in all.
    """

    split: str
    total: int

    def items(self, start: Any) -> Iterator[Item]:
        """From the place that an earlier `Item.after` gave, or the beginning for None."""

    def check(self, images: Sequence[int]) -> None:
        """Raises `UserError` if so many images of each class are not what there should be."""


Advance = Callable[[str, int, int], object]


def pack(
    output: Path,
    origin: str,
    labels: Sequence[str],
    streams: Sequence[Stream],
    form: Form = AS_THEY_ARE,
    advance: Advance = lambda split, done, total: None,
    shard_images: int = SHARD_IMAGES,
) -> dict[str, Any]:
    """Writes a dataset.

    Args:
      output: directory to make, or one where the same packing was stopped.
      origin: names what is packed; another may not be continued.
      labels: class names.
      streams: one a split.
      form: in which images are stored.
      advance: told the split, how far it is and how far it goes.
      shard_images: images a shard.

    Returns:
      {"images": {split: count}, "shrunk": count, "unreadable": count, "tiled": count, "plain": {why not tiled: count}}.

    Raises:
      UserError: if the output is something else, or images are missing.
    """
    origin = f"{origin}, {form}"
    store = storing(form)

    def packed(item: Item) -> _Packed:
        return _Packed(item, store(item.label, item.name, item.data))

    with _locked(output), _readable_errors(output):
        return _pack(output, origin, labels, streams, packed, advance, shard_images)


def _pack(
    output: Path,
    origin: str,
    labels: Sequence[str],
    streams: Sequence[Stream],
    store: "Callable[[Item], _Packed]",
    advance: Advance,
    shard_images: int,
) -> dict[str, Any]:
    state = _state(output, origin, labels)
    with ThreadPoolExecutor(cpu_cores()) as threads:
        for stream in streams:
            _pack_split(output, state, stream, store, threads, advance, shard_images)
    for stream in streams:
        stream.check(state["splits"][stream.split]["classes"])
    splits = {name: split["shards"] for name, split in state["splits"].items()}
    index = {"format": FORMAT, "version": VERSION, "origin": origin, "labels": list(labels), "splits": splits}
    _replace(output / INDEX, index)
    (output / _PROGRESS).unlink()
    images = {name: sum(shard["images"] for shard in shards) for name, shards in splits.items()}
    return {"images": images} | {key: state[key] for key in ("shrunk", "unreadable", "tiled", "plain")}


@contextlib.contextmanager
def _readable_errors(output: Path) -> Iterator[None]:
    """ArrayRecord reports a full disk as a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(f"{output}: {reason(error)}; make room, and run the command again to go on") from error


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Keeps others from writing the same dataset."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / _LOCK).open("w") as file:
        if not lock(file):
            raise UserError(f"{output}: another process is writing there; wait for it or take another --output")
        yield
        (output / _LOCK).unlink()


def _state(output: Path, origin: str, labels: Sequence[str]) -> dict[str, Any]:
    """What is done so far."""
    if (output / INDEX).exists():
        raise UserError(f"{output} holds a finished dataset already: take another --output, or remove it")
    try:
        state = json.loads((output / _PROGRESS).read_text())
        if (state["origin"], state["labels"]) != (origin, list(labels)):
            raise UserError(f"{output} holds an unfinished dataset of {state['origin']}: take another --output")
        return {"shrunk": 0, "unreadable": 0} | state
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{output / _PROGRESS} is damaged: remove {output} and begin anew") from None
    if any(entry.name != _LOCK for entry in output.iterdir()):
        raise UserError(f"--output {output} is not empty: take another, or remove it")
    state = {
        "origin": origin,
        "labels": list(labels),
        "splits": {},
        "shrunk": 0,
        "unreadable": 0,
        "tiled": 0,
        "plain": {},
    }
    _replace(output / _PROGRESS, state)
    return state


class _Packed(NamedTuple):
    item: Item
    stored: Stored


def _pack_split(
    output: Path,
    state: dict[str, Any],
    stream: Stream,
    store: Callable[[Item], _Packed],
    threads: ThreadPoolExecutor,
    advance: Advance,
    shard_images: int,
) -> None:
    split = state["splits"].setdefault(
        stream.split, {"shards": [], "after": None, "finished": False, "classes": [0] * len(state["labels"])}
    )
    if split["finished"]:
        return
    packed = in_order(threads, store, stream.items(split["after"]), 4 * cpu_cores())
    while first := next(packed, None):
        name = f"{stream.split}-{len(split['shards']):05d}.array_record"
        partial = output / f"{name}.partial"
        partial.unlink(missing_ok=True)
        writer = ArrayRecordWriter(os.fsencode(partial), _OPTIONS)  # bytes: a name of any kind
        count, plain = 0, collections.Counter(state["plain"])
        one: _Packed | None = first
        while one is not None:
            writer.write(one.stored.record)
            count += 1
            split["classes"][one.item.label] += 1
            split["after"] = one.item.after
            state["shrunk"] += one.stored.shrunk
            state["unreadable"] += one.stored.unreadable
            if one.stored.plain is None:
                state["tiled"] += 1
            else:
                plain[one.stored.plain] += 1
            advance(stream.split, one.item.done, stream.total)
            one = next(packed, None) if count < shard_images else None
        writer.close()
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(output / name)
        split["shards"].append({"file": name, "images": count})
        state["plain"] = dict(plain)
        _replace(output / _PROGRESS, state)
    split["finished"] = True
    _replace(output / _PROGRESS, state)


def _replace(path: Path, content: dict[str, Any]) -> None:
    replace_file(path, json.dumps(content, indent=1), durable=True)
