"""The `googlenet` commands that move networks between systems: import and export."""

import argparse
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.config.choices import EXPORTS, FAMILIES, FORMATS, NORMALIZATIONS
from googlenet_jax.errors import shown
from googlenet_jax.system import runtime


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
    bring.add_argument("--verbose", action="store_true", help="list what became of each tensor")
    bring.set_defaults(run=_import)

    export = commands.add_parser(
        "export", parents=[arguments.debug(), arguments.checkpoint()], help="write weights as others read them"
    )
    export.add_argument(
        "--format",
        required=True,
        choices=EXPORTS,
        help=arguments.rows(EXPORTS),
    )
    export.add_argument(
        "--output",
        required=True,
        type=arguments.path,
        metavar="FILE",
        help="file to write",
    )
    export.set_defaults(run=_export)


def _import(flags: argparse.Namespace) -> None:
    runtime.configure_jax()
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from googlenet_jax.importers.importer import import_checkpoint
    from googlenet_jax.system.console import console

    output = Path(flags.output or Path("checkpoints") / Path(flags.file).name.partition(".")[0])
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        names = (flags.format, flags.variant, flags.labels, flags.num_classes, flags.normalization)
        result = import_checkpoint(
            flags.file, output, *names, progress=progress, key=flags.key, classifier=flags.classifier
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
    for why in dict.fromkeys(converted.left_out.values()):
        left = [name for name, own in converted.left_out.items() if own == why]
        print(f"{len(left)} left out, {why}: {', '.join(map(shown, left[:3]))}{', ...' if len(left) > 3 else ''}")
    print(f"classes: {', '.join(label.partition(',')[0] for label in result.labels[:4])}, ...")
    print(f"written to {output}; next: googlenet predict --checkpoint {output} IMAGE...")


def _place(chosen: Any) -> str:
    """Where the weights lay in the file, and what else could have been taken."""
    place = f"key {shown(chosen.name)!r}" if chosen.name else "the file's top level"
    others = ", ".join(repr(shown(name)) + ("" if name else " (the top level)") for name in chosen.others[:5])
    return f"{place} (also there: {others}; --key decides)" if others else place


def _export(flags: argparse.Namespace) -> None:
    runtime.configure_jax()
    from googlenet_jax.net import load

    output = Path(flags.output)
    net = load(flags.checkpoint)
    names = EXPORTS[flags.format].load()(net, output)
    print(f"{len(names)} tensors written to {output}")
    p = net.preprocess
    print(f"which does not hold its input: {p.channel_order} pixels in 0..255, minus {p.mean}, divided by {p.std}")
