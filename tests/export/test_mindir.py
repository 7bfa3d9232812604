"""MINDIR files compute what the network does: numpy evaluates their nodes in MindSpore's place."""

import contextlib
import random
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mindspore_operations import evaluate

from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.export import mindir
from googlenet_jax.export.exporting import export
from googlenet_jax.export.target import Options, describe
from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.exported.opening import open_exported
from googlenet_jax.formats.mindir import CONSTANT, Info, Node, Program, read_mindir, write_mindir
from googlenet_jax.models.make_model import make_model
from googlenet_jax.net import Net


def made(family, stem="paper", size=64, blocks=("3a", "5a")):
    """A network whose every weight and statistic is drawn, so that signals keep their size."""
    names = {"model__variant": family, "model__stem": stem, "model__blocks": blocks, "dataset__image_size": size}
    config = small_config(**names, dataset__mean=None, dataset__std=None, dataset__channel_order=None)
    model, source = make_model(config, 10), np.random.default_rng(0)

    def draw(path, leaf):
        values, name = source.standard_normal(leaf.shape).astype(np.float32), path[-1].key
        if name == "kernel":
            return values * np.float32((2 / np.prod(leaf.shape[:-1])) ** 0.5)
        return np.exp(values * np.float32(0.3)) if name in ("scale", "var") else values * np.float32(0.2)

    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, size, size, 3)))
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return Net(model, variables, [f"class {i}" for i in range(10)], make_preprocess(config), config, 7)


def written(net, path, **options):
    chosen = Options(**options)
    mindir.TARGET.write(net, path, chosen, describe(net, "run/7", chosen))
    return read_mindir(memoryview(path.read_bytes()))


@pytest.fixture
def mindspore(monkeypatch):
    """What `exported/mindir.py` needs of MindSpore."""

    class Tensor:
        def __init__(self, array):
            self.array = array

        def asnumpy(self):
            return self.array

    def load(path):
        assert path.endswith(".mindir")  # else the real one raises ValueError
        with open(path, "rb") as file:
            return read_mindir(memoryview(file.read()))

    def graph_cell(program):
        return lambda tensor: Tensor(evaluate(program, tensor.array))

    module = types.ModuleType("mindspore")
    module.load, module.Tensor, module.nn = load, Tensor, types.SimpleNamespace(GraphCell=graph_cell)
    monkeypatch.setitem(sys.modules, "mindspore", module)


CASES = {
    "paper": ({}, {}),
    "batchnorm": ({"stem": "tiny", "size": 17}, {"input": "float", "output_kind": "logits", "batch": 4}),
    "torchvision": ({"stem": "small", "size": 33}, {"output_kind": "logits"}),
    "mindcv": ({"size": 50}, {"output_kind": "logits"}),
    "mindspore": ({"size": 65}, {"input": "float"}),
    "paddleclas": ({"size": 50}, {"image_size": 64, "output_kind": "logits"}),
}


@pytest.mark.parametrize("family", CASES)
def test_a_file_computes_what_the_network_does(family, mindspore, tmp_path):
    network, options = CASES[family]
    result = export(made(family, **network), "run/7", "mindir", tmp_path / "net.mindir", Options(**options))
    assert result.unverified == "" and result.images in (9, 16)
    assert result.difference < 1e-5 and result.agreement == result.images
    opened = open_exported(tmp_path / "net.mindir")
    assert opened.labels[3] == "class 3" and opened.step == 7
    assert opened.preprocess.image_size == (64 if "image_size" in options else network.get("size", 64))


def test_where_maps_shrink_to_a_pixel_padding_never_wins(mindspore, tmp_path):
    net = made("paddleclas", size=4)  # whose pool1 sees negative values
    kinds = [node.kind for node in written(net, tmp_path / "net.mindir").nodes]
    assert kinds.count("PadV3") == 2
    assert export(net, "run/7", "mindir", tmp_path / "again.mindir", Options(output_kind="logits")).difference < 1e-5


def test_a_file_has_every_layer_by_the_papers_name(tmp_path):
    net = made("torchvision", size=32, blocks=("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"))
    program = written(net, tmp_path / "net.mindir")
    assert program.inputs == [Info("images", np.dtype(np.uint8), (-1, 32, 32, 3))]
    assert program.outputs == [Info("probabilities", np.dtype(np.float32), (-1, 10))]
    assert len(program.parameters) == 2 * (3 + 9 * 6 + 1)
    assert program.parameters["inception_4e/5x5/kernel"].shape == (128, 32, 3, 3)
    classifier = net.variables["params"]["classifier"]["kernel"].T
    np.testing.assert_array_equal(program.parameters["classifier/kernel"], classifier)
    by_name = {node.name: node for node in program.nodes}
    assert by_name["inception_5b/parts"].inputs == tuple(
        f"inception_5b/{part}/relu" for part in ("1x1", "3x3", "5x5", "pool_proj")
    )
    assert by_name["conv1/product"].attributes["stride"] == (1, 1, 2, 2)
    kinds = [node.kind for node in program.nodes]
    assert [kinds.count(kind) for kind in ("Conv2D", "ReLU", "MaxPool", "PadV3")] == [57, 57, 13, 0]


def test_the_description_travels(tmp_path):
    net = made("mindcv", size=48)
    options = {"input": "float", "output_kind": "logits", "batch": 2}
    program = written(net, tmp_path / "net.mindir", **options)
    assert (*program.inputs, program.outputs[0].shape) == (
        Info("images", np.dtype(np.float32), (2, 48, 48, 3)),
        (2, 10),
    )
    assert Description.from_json(program.facts[KEY]) == describe(net, "run/7", Options(**options))


def message_classes():
    """MindSpore's messages, from its mind_ir.proto."""
    types_ = descriptor_pb2.FieldDescriptorProto
    text, integer, real, data = types_.TYPE_STRING, types_.TYPE_INT64, types_.TYPE_FLOAT, types_.TYPE_BYTES
    file = descriptor_pb2.FileDescriptorProto(name="mind_ir.proto", package="mind_ir", syntax="proto2")
    messages = {
        "Tensor": [(1, "dims*", integer), (2, "data_type", integer), (7, "name", text), (9, "raw_data", data)],
        "Attribute": [
            *[(1, "name", text), (2, "f", real), (3, "i", integer), (5, "s", data), (8, "floats*", real)],
            *[(10, "ints*", integer), (11, "strings*", data), (12, "tensors*", "Tensor"), (16, "type", integer)],
            (17, "values*", "Attribute"),
        ],
        "Info": [(1, "name", text), (2, "tensor*", "Tensor")],
        "Node": [(1, "input*", text), (2, "output*", text), (4, "op_type", text), (5, "attribute*", "Attribute")],
        "Primitive": [
            (1, "name", text),
            (2, "op_type", text),
            (3, "attribute*", "Attribute"),
            (5, "prim_type", integer),
        ],
        "Graph": [
            *[(1, "node*", "Node"), (2, "name", text), (3, "parameter*", "Tensor")],
            *[(5, "input*", "Info"), (6, "output*", "Info")],
        ],
        "Entry": [(1, "key", text), (2, "value", text)],
        "Model": [
            *[(1, "ir_version", text), (2, "producer_name", text), (5, "model_version", text), (7, "graph", "Graph")],
            *[(10, "little_endian", types_.TYPE_BOOL), (12, "primitives*", "Primitive")],
            *[(13, "mind_ir_version", integer), (14, "user_info*", "Entry")],
        ],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            new = message.field.add(name=field.rstrip("*"), number=number, label=3 if field.endswith("*") else 1)
            if isinstance(kind, str):
                new.type, new.type_name = types_.TYPE_MESSAGE, f".mind_ir.{kind}"
            else:
                new.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mind_ir.Model"))


def test_protobuf_itself_reads_what_mindspore_asks_for(tmp_path):
    program = written(made("paper", size=32), tmp_path / "net.mindir")
    model = message_classes().FromString((tmp_path / "net.mindir").read_bytes())
    assert (model.ir_version, model.producer_name, model.mind_ir_version) == ("1.1", KEY, 2)
    assert model.model_version and model.little_endian and model.graph.name
    assert {entry.key: entry.value for entry in model.user_info} == program.facts
    (images,) = model.graph.input
    assert [*images.tensor[0].dims] == [-1, 32, 32, 3] and images.tensor[0].data_type == 2
    for tensor in model.graph.parameter:
        assert tensor.raw_data == program.parameters[tensor.name].tobytes() and tensor.data_type == 1
        assert tuple(tensor.dims) == program.parameters[tensor.name].shape
    primitives = {f"REF::{primitive.name}": primitive for primitive in model.primitives}
    assert len(primitives) == len(model.primitives)
    known = {images.name, *program.parameters}
    for raw, node in zip(model.graph.node, program.nodes, strict=True):
        assert (tuple(raw.output), tuple(raw.input)) == ((node.name,), node.inputs)
        assert known.issuperset(raw.input) and node.name not in known
        known.add(node.name)
        assert raw.op_type == CONSTANT or primitives[raw.op_type].op_type == node.kind
    assert model.graph.output[0].name in known
    conv1 = next(node for node in model.graph.node if node.output[0] == "conv1/product")
    attributes = {attribute.name: attribute for attribute in primitives[conv1.op_type].attribute}
    # The loader seeks a tuple's elements in the repeated fields, and other values in the singular ones.
    assert [[*element.ints] for element in attributes["pad"].values] == [[3], [3], [3], [3]]
    assert (attributes["pad"].type, attributes["out_channel"].i, attributes["format"].s) == (20, 64, b"NCHW")


def tiny():
    values = (True, -3, 0.5, "text", (1, (2.5, "x")), np.array([[1, -2]], np.int64), np.array(-np.inf, np.float32))
    nodes = [Node(f"constant_{i}", CONSTANT, (), {"value": value}) for i, value in enumerate(values)]
    nodes += [
        Node("sum", "Add", ("images", "weights"), {}),
        Node("pool", "MaxPool", ("sum",), {"kernel_size": (1, 1, 2, 2), "format": "NCHW"}),
    ]
    inputs = [Info("images", np.dtype(np.float32), (-1, 4))]
    outputs = [Info("pool", np.dtype(np.float32), (-1, 4))]
    return Program("tiny", inputs, outputs, {"weights": np.arange(4, dtype=np.float32)}, nodes, {"key": "été"})


def test_what_is_written_is_read():
    program = tiny()
    back = read_mindir(memoryview(write_mindir(program, "test")))
    assert back._replace(nodes=[], parameters={}) == program._replace(nodes=[], parameters={})
    np.testing.assert_array_equal(back.parameters["weights"], program.parameters["weights"])
    for node, other in zip(program.nodes, back.nodes, strict=True):
        assert repr(node) == repr(other)


def test_damaged_bytes_are_value_errors():
    data = write_mindir(tiny(), "test")
    for end in range(len(data) - 40):  # what is cut off later is not needed
        with pytest.raises(ValueError):
            read_mindir(memoryview(data[:end]))
    source = random.Random(0)
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(source.randint(1, 3)):
            damaged[source.randrange(len(data))] = source.randrange(256)
        with contextlib.suppress(ValueError):
            read_mindir(memoryview(damaged))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"nodes": [Node("pool", "ReLU", ("later",), {}), Node("later", "ReLU", ("pool",), {})]},
            "'later', which is not",
        ),
        ({"nodes": [Node("pool", "ReLU", ("images",), {})] * 2}, "the name of two things"),
        ({"nodes": [Node("other", "ReLU", ("images",), {})]}, "an output that no node computes"),
        ({"outputs": []}, "an output"),
        ({"parameters": {"images": np.zeros(4, np.float32)}}, "two inputs or parameters of one name"),
        ({"nodes": [Node("pool", CONSTANT, (), {"other": 1})]}, "has no value"),
        ({"nodes": [Node("pool", "ReLU", ("images",), {"deep": ((((((1,),),),),),)})]}, "an attribute of type 20"),
    ],
)
def test_a_graph_that_does_not_hang_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        read_mindir(memoryview(write_mindir(tiny()._replace(**changes), "test")))


def test_sizes_are_checked_before_they_are_believed():
    data = write_mindir(tiny(), "test")
    for size in (b"\x08\x05", b"\x08\x7f"):  # of the weights, whose 4 is the only one with this name after it
        at = data.index(b"\x08\x04\x10\x01\x3a\x07weights")
        with pytest.raises(ValueError, match="a tensor of shape"):
            read_mindir(memoryview(data[:at] + size + data[at + 2 :]))


def test_without_mindspore_a_file_is_written_and_says_what_runs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mindspore", None)
    path = tmp_path / "net.mindir"
    result = export(made("mindcv", size=32), "run/7", "mindir", path, Options())
    assert result.unverified == "needs mindspore"
    with pytest.raises(UserError, match=r"mindir files are run with mindspore: pip install mindspore$"):
        open_exported(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is no mindir file of googlenet export, or damaged"):
        open_exported(path)
    path.write_bytes(write_mindir(tiny(), "MindSpore"))
    with pytest.raises(UserError, match="is no mindir file of googlenet export, or damaged"):
        open_exported(path)
    with pytest.raises(UserError, match="takes no --aux"):
        export(made("mindcv", size=32), "run/7", "mindir", tmp_path / "aux.mindir", Options(aux=True))
