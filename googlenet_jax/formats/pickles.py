"""Reading pickles without running them.

A pickle is a program for a small stack machine. This one has only the instructions that build plain values. What it
would call stands in `pickle_calls`: numpy's arrays and torch's tensors are made from their bytes, any other object
becomes an `Opaque` record, and what can do harm is refused by name; nothing from a file is ever called or imported.
Instructions: the standard library's `pickletools`.
"""

import codecs
import pickletools
from typing import Any, BinaryIO, NamedTuple

from googlenet_jax.formats import pickle_calls
from googlenet_jax.formats.pickle_calls import Memory, as_text, checked_items
from googlenet_jax.formats.pickle_values import Array, Global, Opaque, Storage

_MAX_INSTRUCTIONS = 1_000_000
_INSTRUCTIONS = {instruction.code: instruction for instruction in pickletools.opcodes}


class Decoded(NamedTuple):
    """What a pickle holds.

    Attributes:
      content: as `decode` returns it, but with `Array` for numpy's arrays.
      storages: torch's that it refers to, by key.
      unread: name of the first object that is an `Opaque` here, "" if there is none.
    """

    content: Any
    storages: dict[str, Storage]
    unread: str


def decode(stream: BinaryIO, limit: int) -> Any:
    """Decodes one pickle and stops behind it.

    Args:
      stream: a seekable binary stream at the start of a pickle, of any protocol, also Python 2's.
      limit: bytes that what it makes of its own bytes may take.

    Returns:
      None, bool, int, float, str, bytes, list, tuple, dict (keys str or int), numpy arrays, and `Tensor`, `Storage`,
      `Global`, `Opaque` where the pickle has them; Python 2's strings as str, one character a byte.

    Raises:
      ValueError: for anything else; the message names the refused function or instruction.
    """
    content = decode_whole(stream, limit).content
    if isinstance(content, dict):
        return {key: _finished(value) for key, value in content.items()}
    return _finished(content)


def decode_whole(stream: BinaryIO, limit: int) -> Decoded:
    """As `decode`, with what else there is to know of the pickle."""
    machine = _Machine(stream, limit)
    try:
        content = machine.run()
        unread = machine.unread or (content.name if isinstance(content, Opaque) else "")
        return Decoded(content, machine.storages, unread)
    except (IndexError, TypeError, AttributeError, KeyError, UnicodeError, OverflowError) as error:
        raise ValueError(f"a pickle that makes no sense ({error})") from None


class _Machine:
    def __init__(self, stream: BinaryIO, limit: int):
        self.stream = stream
        self.memory = Memory(limit)
        self.unread = ""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        for _ in range(_MAX_INSTRUCTIONS):
            code = self.stream.read(1).decode("latin1")
            if code not in _INSTRUCTIONS:
                raise ValueError("the pickle ends too early" if not code else f"no pickle instruction: {code!r}")
            instruction = _INSTRUCTIONS[code]
            if instruction.name == "STOP":
                return self.stack.pop()
            if instruction.name == "STRING":  # pickletools takes no bytes above 127, which Python 2's arrays have
                argument: Any = _quoted(self.stream.readline())
            else:
                argument = instruction.arg.reader(self.stream) if instruction.arg else None
            self.step(instruction.name, argument)
        raise ValueError(f"a pickle of more than {_MAX_INSTRUCTIONS} instructions")

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4":
                # torch's magic number has 77 bits; the states of random generators have more, and are of no use here.
                stack.append(argument if abs(argument) < 1 << 80 else Opaque("int"))
            case "FLOAT" | "BINFLOAT":
                stack.append(argument)
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(bytes(argument))
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "POP_MARK":
                self.popped()
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_TUPLE":
                stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[name]())
            case "EMPTY_SET":
                stack.append(Opaque("builtins.set"))
            case "FROZENSET":
                self.popped()
                stack.append(Opaque("builtins.frozenset"))
            case "ADDITEMS":
                self.popped()
                if not isinstance(stack[-1], Opaque):
                    raise ValueError("a pickle that makes no sense (items for no set)")
            case "LIST" | "TUPLE":
                stack.append((list if name == "LIST" else tuple)(self.popped()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                if len(stack) < count:
                    raise ValueError("a pickle that makes no sense (tuple of too few values)")
                stack[-count:] = [tuple(stack[-count:])]
            case "DICT":
                items = self.popped()
                stack.append({})
                self.set_items(items)
            case "APPEND":
                value = stack.pop()
                self.extend([value])
            case "APPENDS":
                values = self.popped()
                self.extend(values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.set_items([key, value])
            case "SETITEMS":
                items = self.popped()
                self.set_items(items)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(pickle_calls.refer(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                qualified, module = stack.pop(), stack.pop()
                stack.append(pickle_calls.refer(as_text(module), as_text(qualified)))
            case "REDUCE" | "NEWOBJ":
                arguments, function = stack.pop(), stack.pop()
                self.call(function, arguments)
            case "NEWOBJ_EX":
                _, arguments, function = stack.pop(), stack.pop(), stack.pop()
                self.call(function, arguments)
            case "INST":
                self.call(pickle_calls.refer(*argument.split(" ", 1)), tuple(self.popped()))
            case "OBJ":
                function, *arguments = self.popped()
                self.call(function, tuple(arguments))
            case "BUILD":
                state = stack.pop()
                pickle_calls.build(stack[-1], state, self.memory)
            case "BINPERSID":
                storage = pickle_calls.storage(stack.pop())
                if isinstance(storage, Storage):
                    self.storages[storage.key] = storage
                stack.append(storage)
            case _:
                raise ValueError(f"the pickle instruction {name} is refused")

    def popped(self) -> list[Any]:
        """Everything above the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], Opaque):  # of a class derived from list
            return
        if not isinstance(self.stack[-1], list):
            raise ValueError("a pickle that makes no sense (append to no list)")
        self.stack[-1].extend(values)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque):  # of a class derived from dict
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("a pickle that makes no sense (items for no dictionary)")
        target.update(checked_items(zip(items[::2], items[1::2], strict=True)))

    def call(self, function: Any, arguments: Any) -> None:
        value = pickle_calls.call(function, arguments, self.memory)
        if isinstance(value, Opaque) and isinstance(function, Global) and not self.unread:
            self.unread = value.name
        self.stack.append(value)


def _quoted(line: bytes) -> str:
    text = line.strip()
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("a string without quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin1")


def _finished(value: Any) -> Any:
    if isinstance(value, Array):
        if value.values is None:
            raise ValueError("an array without values")
        return value.values
    return value
