"""The `googlenet` commands that move networks between systems: import and export."""

import argparse
import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.config.choices import EXPORTS, FAMILIES, FORMATS, NORMALIZATIONS, NOT_HERE, RUNTIMES
from googlenet_jax.errors import UserError, shown, where
from googlenet_jax.system import runtime
from googlenet_jax.system.storage import is_url


def add_command(commands: Any) -> None:
    """Adds them to the subparsers of the `googlenet` command."""
    bring = commands.add_parser(
        "import",
        parents=[arguments.debug()],
        help="bring in a network from Caffe, SINGA, torchvision, MindSpore or Paddle",
        description="Reads a checkpoint of another system, recognised by its content, and writes one that "
        "googlenet predict, evaluate and googlenet_jax.load open. Nothing in the file is executed.",
    )
    bring.add_argument(
        "file",
        type=arguments.path,
        metavar="FILE",
        help="a file, also an .npz or .safetensors with such a system's names, or one of the published networks to "
        "download: caffe, singa, torchvision, mindcv, mindcv-910v2, paddleclas",
    )
    bring.add_argument(
        "--output",
        type=arguments.path,
        metavar="DIR",
        help="directory to write (default: checkpoints/<name of the file>)",
    )
    bring.add_argument(
        "--format",
        choices=FORMATS,
        help="whose file it is (default: recognised by its tensors' names)",
    )
    bring.add_argument(
        "--key",
        metavar="NAME",
        help="where the weights lie in a training checkpoint, such as model_ema or state.model (default: "
        "what fits best, and rather the weights themselves than an average)",
    )
    bring.add_argument(
        "--classifier",
        metavar="NAME",
        help="the last layer, if it was renamed for other classes: loss3/classifier_birds, fc.1",
    )
    bring.add_argument("--variant", choices=FAMILIES, help="family of the network (default: that of its system)")
    bring.add_argument(
        "--labels",
        type=arguments.path,
        metavar="FILE",
        help="class names, one a line, or the word imagenet (the default for 1000 classes)",
    )
    bring.add_argument("--num_classes", type=int, metavar="N", help="refuse a file with another number of classes")
    bring.add_argument(
        "--normalization",
        choices=NORMALIZATIONS,
        help="of the input, if not as usual for its system: half_range for torchvision's transform_input=True (the "
        "published file is recognised), cifar10 for the MindSpore zoo's CIFAR-10 network",
    )
    bring.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="what else is known of its input: dataset.mean=R,G,B, dataset.std, dataset.channel_order, "
        "dataset.image_size, eval.crop_fraction, eval.resize; may be given several times",
    )
    bring.add_argument("--verbose", action="store_true", help="list what became of each tensor")
    bring.set_defaults(run=_import)

    export = commands.add_parser(
        "export",
        parents=[arguments.debug(), arguments.checkpoint(arguments.TRAINED), arguments.as_json()],
        help="write a network for other systems",
        description="Writes a network for another system, runs what was written beside the network, and keeps it only "
        f"if both compute the same. predict, evaluate and googlenet_jax.load take {', '.join(RUNTIMES)} like a "
        "checkpoint; weights for another system come back by googlenet import.",
    )
    export.add_argument("--format", required=True, choices=[*EXPORTS, *NOT_HERE], help=arguments.rows(EXPORTS))
    export.add_argument("--output", required=True, type=arguments.path, metavar="FILE", help="file to write")
    export.add_argument(
        "--input",
        choices=("uint8", "float"),
        default="uint8",
        help="uint8: RGB crops (n, size, size, 3), normalised inside (default); float: the same, normalised already",
    )
    export.add_argument("--output_kind", choices=("probabilities", "logits"), default="probabilities")
    export.add_argument(
        "--image_size", type=arguments.at_least_one, metavar="PX", help="side of the crops (default: the network's)"
    )
    export.add_argument("--batch", type=_batch, metavar="N", help="images a call, or dynamic (the default): any number")
    export.add_argument("--precision", choices=("float32", "float16", "int8"), default="float32")
    export.add_argument(
        "--calibration",
        metavar="NAME",
        help="a config.dataset.name, whose training images int8 is scaled by and by whose top-1 its method is chosen",
    )
    export.add_argument("--aux", action="store_true", help="the auxiliary heads too, as further outputs")
    export.add_argument(
        "--dataset", metavar="NAME", help="a config.dataset.name: top-1 of both on its validation images, afterwards"
    )
    export.set_defaults(run=_export)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no FIELD=VALUE, such as dataset.image_size=128")
    return name, value


def _batch(text: str) -> int | None:
    return None if text == "dynamic" else arguments.at_least_one(text)


def _check_local(output: str) -> None:
    if is_url(output):
        raise UserError(f"--output {where(output)} is a URL: it is written on this machine, and yours to copy there")


def _import(flags: argparse.Namespace) -> None:
    runtime.configure_jax()
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from googlenet_jax.exported.safetensors import is_described
    from googlenet_jax.importers.importer import import_checkpoint
    from googlenet_jax.system.console import console

    _check_local(flags.output or "")
    output = Path(flags.output or Path("checkpoints") / Path(flags.file).name.partition(".")[0])
    if is_described(Path(flags.file)):
        _import_ours(flags, output)
        return
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        names = (flags.format, flags.variant, flags.labels, flags.num_classes, flags.normalization)
        result = import_checkpoint(
            flags.file,
            output,
            *names,
            progress=progress,
            key=flags.key,
            classifier=flags.classifier,
            fields=dict(flags.set),
        )

    converted = result.converted
    if flags.verbose:
        for entry in converted.entries:
            print(f"{entry.name} -> {'/'.join(entry.path)}")
        for name, why in converted.left_out.items():
            print(f"{shown(name)} -> left out, {why}")
    known = f", as published under the name {result.published}" if result.published else ""
    heads = "with" if converted.aux_heads else "without"
    print(f"recognised {result.kind} of {converted.naming.system}'s GoogLeNet{known}")
    print(f"variant {result.variant}, {converted.num_classes} classes, {heads} auxiliary heads")
    if result.chosen.name or result.chosen.others:
        print(f"weights taken from {_place(result.chosen)}")
    print(f"{len(converted.entries)} tensors taken")
    p = result.preprocess
    mean, std = (", ".join(f"{value:.5g}" for value in p[name]) for name in ("mean", "std"))
    print(f"input: {p['image_size']} px, {p['channel_order']} in 0..255, minus ({mean}), divided by ({std})")
    print("       (where it was trained otherwise: --normalization, --set)")
    for why in dict.fromkeys(converted.left_out.values()):
        left = [name for name, own in converted.left_out.items() if own == why]
        print(f"{len(left)} left out, {why}: {', '.join(map(shown, left[:3]))}{', ...' if len(left) > 3 else ''}")
    print(f"classes: {', '.join(shown(label.partition(',')[0]) for label in result.labels[:4])}, ...")
    print(f"written to {output}; {_next(output)}")


def _import_ours(flags: argparse.Namespace, output: Path) -> None:
    from googlenet_jax.net import Net, load

    for name in ("format", "key", "classifier", "variant", "labels", "num_classes", "normalization", "set"):
        if getattr(flags, name):
            raise UserError(f"--{name}: {where(flags.file)} is of googlenet export and says itself what it is")
    net = load(flags.file)
    assert isinstance(net, Net)
    net.save(output)
    print(f"recognised a .safetensors of googlenet export: variant {net.model.variant.name}, {len(net.labels)} classes")
    print(f"written to {output}; {_next(output)}")


def _next(checkpoint: Any) -> str:
    return f"next: googlenet predict --checkpoint {shlex.quote(str(checkpoint))} IMAGE..."


def _place(chosen: Any) -> str:
    """Where the weights lay in the file, and what else could have been taken."""
    place = f"key {shown(chosen.name)!r}" if chosen.name else "the file's top level"
    others = ", ".join(repr(shown(name)) + ("" if name else " (the top level)") for name in chosen.others[:5])
    return f"{place} (also there: {others}; --key decides)" if others else place


def _export(flags: argparse.Namespace) -> None:
    if flags.format in NOT_HERE:
        raise UserError(f"--format {flags.format}: {NOT_HERE[flags.format]}")
    _check_local(flags.output)
    runtime.configure_jax()
    from googlenet_jax.export.exporting import export
    from googlenet_jax.export.target import Options
    from googlenet_jax.net import Net, load
    from googlenet_jax.system.console import error_console, show_log

    show_log()
    net = load(flags.checkpoint)
    if not isinstance(net, Net):
        raise UserError(f"--checkpoint {where(flags.checkpoint)} is an exported file: give what it was exported from")
    names = [field.name for field in dataclasses.fields(Options)]
    options = Options(**{name: getattr(flags, name) for name in names})
    if flags.dataset is not None and flags.format not in RUNTIMES:
        raise UserError(f"--dataset: --format {flags.format} is not run here; what is: {', '.join(RUNTIMES)}")
    with error_console.status(f"writing {flags.output} and running it"):
        result = export(net, flags.checkpoint, flags.format, Path(flags.output), options)
    both = None
    if flags.dataset is not None and not result.unverified:
        from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints

        both = [evaluate_checkpoints([path], flags.dataset)["top1"] for path in (flags.checkpoint, flags.output)]
    if flags.json:
        facts = dataclasses.asdict(result) | {"files": [str(file) for file in result.files], "top1": both}
        print(json.dumps(facts, indent=2))
        return
    size = f"{result.size / 1e6:.1f} MB"
    print(f"written: {', '.join(str(file) for file in result.files)} ({size}, {result.seconds:.1f} s)")
    if result.unverified:
        print(f"not verified: {result.unverified}")
    elif result.images:
        print(
            f"run beside the network: {options.output_kind} differ by {result.difference:.2g} at most, the likeliest "
            f"class is the same for {result.agreement} of {result.images} images"
        )
    else:
        print("read back: every weight is the same to the bit")
    if flags.format not in RUNTIMES:
        p = net.preprocess
        print(
            "it holds neither class names nor its input, which googlenet import takes by --labels and --set: "
            f"{p.image_size} px, {p.channel_order} in 0..255, minus {p.mean}, divided by {p.std}"
        )
    if both:
        print(f"top-1 on {flags.dataset}: {both[0]:.2%} before, {both[1]:.2%} as exported")
    if flags.format in RUNTIMES and not result.unverified:
        print(_next(flags.output))
