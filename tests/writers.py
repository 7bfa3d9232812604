"""Writes checkpoints as the other systems do, with none of this project's code: what the readers are tested on."""

import collections
import io
import itertools
import json
import pickle
import struct
import sys
import types
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = descriptor_pb2.FieldDescriptorProto


def _messages():
    """Caffe's and MindSpore's messages, as far as they are needed; proto2, so that only what says so is packed."""
    file = descriptor_pb2.FileDescriptorProto(name="peers.proto", package="peers", syntax="proto2")

    def message(name, *fields):
        added = file.message_type.add(name=name)
        for number, field, kind, *options in fields:
            new = added.field.add(name=field, number=number, label=3 if "repeated" in options else 1)
            if isinstance(kind, str):
                new.type, new.type_name = _TYPES.TYPE_MESSAGE, f".peers.{kind}"
            else:
                new.type = kind
            new.options.packed = "packed" in options
            if "packed" not in options:
                new.ClearField("options")

    message("BlobShape", (1, "dim", _TYPES.TYPE_INT64, "repeated", "packed"))
    message(
        "BlobProto",
        *((number, name, _TYPES.TYPE_INT32) for number, name in enumerate(("num", "channels", "height", "width"), 1)),
        (5, "data", _TYPES.TYPE_FLOAT, "repeated", "packed"),
        (7, "shape", "BlobShape"),
        (8, "double_data", _TYPES.TYPE_DOUBLE, "repeated", "packed"),
    )
    blobs = ("BlobProto", "repeated")
    message("Layer", (1, "name", _TYPES.TYPE_STRING), (2, "type", _TYPES.TYPE_STRING), (7, "blobs", *blobs))
    message("V1Layer", (4, "name", _TYPES.TYPE_STRING), (5, "type", _TYPES.TYPE_INT32), (6, "blobs", *blobs))
    message(
        "Net",
        (1, "name", _TYPES.TYPE_STRING),
        (2, "layers", "V1Layer", "repeated"),
        (100, "layer", "Layer", "repeated"),
    )
    message(
        "Tensor",
        (1, "dims", _TYPES.TYPE_INT64, "repeated"),
        (2, "tensor_type", _TYPES.TYPE_STRING),
        (3, "tensor_content", _TYPES.TYPE_BYTES),
    )
    message("Value", (1, "tag", _TYPES.TYPE_STRING), (2, "tensor", "Tensor"))
    message("Checkpoint", (1, "value", "Value", "repeated"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("Net", "Checkpoint")
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"peers.{name}")) for name in names]


Net, Checkpoint = _messages()


def caffemodel(tensors, form="new", double=False):
    """Form "new", or "v1" with its 4-D shapes; layers without blobs among the others."""
    net = Net(name="GoogleNet")
    for layer, group in itertools.groupby(tensors.items(), lambda item: item[0].rpartition("_")[0]):
        added = (net.layer if form == "new" else net.layers).add(name=layer)
        for _, array in group:
            blob = added.blobs.add()
            (blob.double_data if double else blob.data).extend(array.ravel().tolist())
            if form == "new":
                blob.shape.dim.extend(array.shape)
            else:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
        (net.layer if form == "new" else net.layers).add(name=f"relu_{layer}")
    return net.SerializeToString()


def caffemodel_h5(tensors, path: Path):
    with h5py.File(path, "w") as file:
        for name, array in tensors.items():
            layer, _, kind = name.rpartition("_")
            file[f"data/{layer}/{('weight', 'bias').index(kind)}"] = array


def ckpt(tensors, crc=False):
    """MindSpore's; one message after the other, as its writer appends them; a scalar and an optimizer's tensor too."""
    extra = {"global_step": np.array(7, np.int32), "moments.conv1.conv.weight": np.zeros((64, 3, 7, 7), np.float32)}
    parts = []
    for name, array in {**tensors, **extra}.items():
        message = Checkpoint()
        tensor = message.value.add(tag=name).tensor
        tensor.dims.extend(array.shape or [0])
        tensor.tensor_type = {"bfloat16": "BFloat16"}.get(array.dtype.name, array.dtype.name.capitalize())
        tensor.tensor_content = array.tobytes()
        parts.append(message.SerializeToString())
    data = b"".join(parts)
    return data + b"crc_num" + zlib.crc32(data).to_bytes(10, "big") if crc else data


def safetensors(tensors):
    """As Hugging Face's library writes it."""
    kinds = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64"}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors.items():
        offsets = [at, at := at + array.nbytes]
        header[name] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values())


def npz(tensors, compressed=False):
    """As numpy itself writes it."""
    target = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(target, **tensors)
    return target.getvalue()


def python2_pickle(tensors):
    """A dictionary of arrays as Python 2's cPickle wrote it, protocol 0: text, with byte strings in quotes."""
    parts = [b"(dp1\n"]
    for name, array in tensors.items():
        shape = b"".join(b"I%d\n" % n for n in array.shape)
        data = b"S" + repr(array.tobytes())[1:].encode() + b"\n"
        parts += [
            b"S'%s'\n" % name.encode(),
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR",
            b"(I1\n(" + shape + b"tcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n" + data + b"tb",
            b"s",
        ]
    return b"".join([*parts, b"."])


class _Tensor:
    def __init__(self, array, untyped):
        self.array, self.untyped = array, untyped

    def __reduce__(self):
        a = self.array
        strides = tuple(s // a.itemsize for s in a.strides)
        utils, torch = sys.modules["torch._utils"], sys.modules["torch"]
        view = (0, a.shape, strides, False, collections.OrderedDict())
        if self.untyped:  # as torch writes types that have no storage class
            return utils._rebuild_tensor_v3, (_Storage(a, "UntypedStorage"), *view, getattr(torch, a.dtype.name), {})
        return utils._rebuild_tensor_v2, (_Storage(a, _STORAGES[a.dtype.name]), *view)


class _Storage:
    def __init__(self, array, kind):
        self.array, self.kind = array, kind
        self.count = array.nbytes if kind == "UntypedStorage" else array.size


_STORAGES = {
    "float32": "FloatStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "complex64": "ComplexFloatStorage",
    "int32": "QInt32Storage",  # stands for one of torch's own kinds of numbers
}


@contextmanager
def _names_of_torch():
    """Python's pickler writes a name only if it can import it."""
    utils, torch = types.ModuleType("torch._utils"), types.ModuleType("torch")
    for name in ("_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        exec(f"def {name}(): pass", utils.__dict__)
        getattr(utils, name).__module__ = "torch._utils"
    for name in (*_STORAGES.values(), "UntypedStorage", "bfloat16", "int64"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    torch._utils = utils
    saved = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch
    finally:
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def pth(content, legacy=False, untyped=False, protocol=2):
    """What torch.save writes, as a zip archive or in the format before 1.6; arrays in `content` become tensors."""
    storages = []
    with _names_of_torch() as torch:

        class Pickler(pickle.Pickler):
            def persistent_id(self, thing):
                if not isinstance(thing, _Storage):
                    return None
                storages.append(thing.array)
                reference = ("storage", getattr(torch, thing.kind), str(len(storages) - 1), "cpu", thing.count)
                return (*reference, None) if legacy else reference

        def tensors(value):
            if type(value) in (dict, collections.OrderedDict):
                items = {key: tensors(item) for key, item in value.items()}
                return items if type(value) is dict else collections.OrderedDict(items)
            return _Tensor(value, untyped) if isinstance(value, np.ndarray) else value

        stream = io.BytesIO()
        Pickler(stream, protocol).dump(tensors(content))
    if legacy:
        head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
        parts = [pickle.dumps(part, 2) for part in head]
        parts += [stream.getvalue(), pickle.dumps([str(i) for i in range(len(storages))], 2)]
        return b"".join([*parts, *(struct.pack("<q", a.size) + a.tobytes() for a in storages)])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("googlenet/data.pkl", stream.getvalue())
        for key, array in enumerate(storages):
            archive.writestr(f"googlenet/data/{key}", array.tobytes())
        archive.writestr("googlenet/version", "3\n")
    return target.getvalue()
