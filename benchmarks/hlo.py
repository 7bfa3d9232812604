"""What an optimised XLA module would cost on a GPU: bytes, matrix products and arithmetic of each kernel.

Bytes are those of operands and results, each once (slices as what they take): no cache is modelled, so small arrays
that stay in L2 count in full, and neighbours that a pool reads twice count once. What cuDNN and cuBLAS do inside
(workspaces, layout copies, the algorithm) is not known without a device.
"""

import collections
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s64": 8, "u64": 8, "f64": 8}
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_LINE = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_FREE = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "after-all", "partition-id", "replica-id"}
_FREE |= {"optimization-barrier"}
_MOVES = {"broadcast", "reshape", "bitcast", "transpose", "copy", "slice", "iota", "tuple", "parameter", "constant"}
_INDEXED = {"gather", "dynamic-slice", "dynamic-update-slice"}
# Users that want an element at another place than their own, so that it is worked out anew for them.
_ELSEWHERE = {"slice", "pad", "reshape", "bitcast", "transpose", "reduce-window", "reverse", "concatenate", "broadcast"}
_ELSEWHERE |= _INDEXED


class Op(NamedTuple):
    """One instruction: its name, type, opcode, operands' names, attributes, whether it is the root, and its literal."""

    name: str
    type: str
    op: str
    operands: list[str]
    attributes: str
    root: bool
    literal: str


class Kernel(NamedTuple):
    """One launch: the instruction, bytes moved, flops of products by type, elementwise operations, kind, JAX's name."""

    op: Op
    bytes: float
    products: dict[str, float]
    arithmetic: float
    kind: str
    source: str

    @property
    def flops(self) -> float:
        """Of matrix products and convolutions."""
        return sum(self.products.values())


def dims(type_: str) -> list[int]:
    """The sides of an array type such as f32[2,3]."""
    found = _SHAPE.search(type_)
    return [int(d) for d in found[2].split(",") if d] if found else []


def elements(type_: str) -> int:
    """How many numbers an array or tuple type has."""
    return sum(math.prod(int(d) for d in shape.split(",") if d) for _, shape in _SHAPE.findall(type_))


def size_of(type_: str) -> int:
    """Bytes of an array or tuple type."""
    return sum(_BYTES.get(kind, 4) * math.prod(int(d) for d in s.split(",") if d) for kind, s in _SHAPE.findall(type_))


def _split(rest: str) -> tuple[str, str]:
    """What stands before the parenthesis that closes an instruction's operands, and after it."""
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return rest[:place], rest[place + 1 :]
    return rest, ""


def _element_type(type_: str) -> str:
    found = _SHAPE.search(type_)
    return found[1] if found else "f32"


def _window(op: Op) -> int:
    found = re.search(r"window=\{size=([\dx]+)", op.attributes)
    return math.prod(int(d) for d in found[1].split("x")) if found else 0


class Module:
    """An optimised HLO module.

    Args:
      text: as `jax.stages.Compiled.as_text` gives it.
    """

    def __init__(self, text: str):
        self.computations: dict[str, list[Op]] = {}
        self.ops: dict[str, Op] = {}
        self.entry, current = "", None
        for line in text.splitlines():
            if head := _HEAD.match(line):
                current = self.computations[head[2]] = []
                self.entry = head[2] if head[1] else self.entry
            elif current is not None and (found := _LINE.match(re.sub(r"/\*.*?\*/", "", line))):
                root, name, type_, op, rest = found.groups()
                inside, attributes = _split(rest)
                operands = re.findall(r"%([\w.\-]+)", inside)
                self.ops[name] = Op(name, type_, op, operands, attributes, bool(root), inside)
                current.append(self.ops[name])

    def kernels(self) -> list[Kernel]:
        """Everything that is launched, once for each time."""
        found = []
        for op, times in self._launched(self.entry, 1):
            source = re.search(r'op_name="([^"]*)"', op.attributes)
            kernel = Kernel(
                op,
                self._moved(op),
                self._products(op),
                self._arithmetic(op),
                self._kind(op),
                source[1] if source else "",
            )
            found += [kernel] * times
        return found

    def _called(self, op: Op, key: str = "calls") -> str:
        found = re.search(key + r"=%?([\w.\-]+)", op.attributes)
        return found[1] if found else ""

    def _inner(self, op: Op) -> list[Op]:
        return self.computations.get(self._called(op), []) if op.op == "fusion" else []

    def _launched(self, computation: str, times: int) -> Iterator[tuple[Op, int]]:
        for op in self.computations[computation]:
            if op.op == "while":
                trips = re.search(r'known_trip_count":\{"n":"(\d+)"', op.attributes)
                yield from self._launched(self._called(op, "body"), times * int(trips[1] if trips else 1))
            elif op.op in ("call", "async-start"):
                yield from self._launched(self._called(op, "to_apply") or self._called(op), times)
            elif op.op == "conditional":  # the last branch: what `jax.lax.cond` takes if true
                branches = re.search(r"branch_computations=\{([^}]*)\}", op.attributes)
                names = re.findall(r"[\w.\-]+", branches[1]) if branches else [self._called(op, "true_computation")]
                yield from self._launched(names[-1], times)
            elif op.op not in _FREE and not op.op.endswith("-done"):
                yield op, times

    def _uses(self, op: Op) -> dict[str, float]:
        """How often each element inside a fusion is worked out, on average, for one of the root's.

        Users that want an element at the same place share it; through slices, pads and reshapes it is worked out anew.
        """
        uses: dict[str, float] = {}
        users = collections.defaultdict(list)
        for inner in self._inner(op):
            for operand in inner.operands:
                users[operand].append(inner)
        for inner in reversed(self._inner(op)):
            if inner.root:
                uses[inner.name] = 1.0
                continue
            shared = apart = 0.0
            for user in users[inner.name]:
                if user.op in _ELSEWHERE:
                    apart += self._times(inner, user, uses[user.name])
                else:
                    shared = max(shared, uses[user.name])
            uses[inner.name] = shared + apart
        return uses

    def _times(self, op: Op, user: Op, times: float) -> float:
        count = max(elements(op.type), 1)
        if user.op in _INDEXED and user.operands[0] != op.name:
            return min(times, 1.0)  # an index
        if user.op == "dynamic-update-slice":
            return 0.0  # updated in place
        if user.op == "reduce-window":
            return times * min(_window(user), elements(user.type) * _window(user) / count)
        return times * min(1.0, elements(user.type) / count)

    def _moved(self, op: Op) -> float:
        body = self._inner(op)
        if not body:
            return sum(size_of(self.ops[o].type) for o in set(op.operands)) + size_of(op.type)
        uses = self._uses(op)
        share: dict[str, float] = collections.defaultdict(float)
        for inner in body:
            if inner.op == "parameter":
                share[op.operands[int(inner.literal)]] += uses[inner.name]
        read = sum(size_of(self.ops[name].type) * min(times, 1.0) for name, times in share.items())
        root = next(inner for inner in body if inner.root)
        return read + size_of(self.ops[root.operands[1]].type if root.op == "dynamic-update-slice" else op.type)

    def _products(self, op: Op) -> dict[str, float]:
        flops: dict[str, float] = collections.defaultdict(float)
        for product in [inner for inner in self._inner(op) if inner.op in ("dot", "convolution")] or [op]:
            types = [self.ops[name].type for name in product.operands[:2]]
            if "dim_labels=" in product.attributes:
                flops[_element_type(types[0])] += self._convolution(product, types)
            elif product.op == "dot" or "cublas" in product.attributes:
                found = re.search(r'lhs_contracting_dim(?:ension)?s"?[=:][{\[]([^}\]]*)', product.attributes)
                contracted = math.prod(dims(types[0])[int(i)] for i in re.findall(r"\d+", found[1] if found else ""))
                flops[_element_type(types[0])] += 2.0 * math.prod(dims(product.type)) * contracted
        return flops

    def _convolution(self, op: Op, types: list[str]) -> float:
        """An output's position times a kernel, whichever of the three is the result."""
        labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", op.attributes)
        assert labels
        first, second, out = dims(types[0]), dims(types[1]), dims(op.type)
        direction = (re.search(r"convBackward(\w{3})", op.attributes) or "   ")[1]
        kernel, positions = {"Fil": (out, second), "Inp": (second, first)}.get(direction, (second, out))
        return 2.0 * math.prod(positions) * math.prod(kernel) / dict(zip(labels[2], kernel, strict=False))["o"]

    def _arithmetic(self, op: Op) -> float:
        """Elementwise operations: those of a pad counted as 4, of a reduction as 1 an element of its input."""
        uses, total = self._uses(op), 0.0
        for inner in self._inner(op):
            count = elements(inner.type)
            if inner.op in ("reduce", "reduce-window"):
                count = count * _window(inner) if _window(inner) else elements(self.ops[inner.operands[0]].type)
            elif inner.op in _MOVES or inner.op == "dot":
                continue
            total += uses[inner.name] * count * (4 if inner.op == "pad" else 1)
        return total

    def _kind(self, op: Op) -> str:
        if op.op == "custom-call":
            found = re.search(r'custom_call_target="([^"]+)"', op.attributes)
            return found[1] if found else op.op
        if op.op != "fusion":
            return op.op
        told = {"reduce", "reduce-window", "scatter", "concatenate", "dot", "transpose"}
        inside = {inner.op for inner in self._inner(op)} & told
        found = re.search(r'"kind":"__(triton\w*?)"', op.attributes) or re.search(r"kind=k(\w+)", op.attributes)
        return "+".join([found[1].lower() if found else op.op, *sorted(inside)])
