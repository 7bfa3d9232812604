"""The `googlenet explain` command."""

import argparse
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.cli.images import named_images
from googlenet_jax.config.choices import EXPLANATIONS
from googlenet_jax.errors import UserError, shown, where
from googlenet_jax.system import runtime

_SUFFIXES = (".png", ".jpg", ".jpeg")  # a sheet may be taller than a WebP
_MOST = 64  # pictures of a sheet
_TOP = 5  # classes that it names of each


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "explain",
        parents=[arguments.debug(), arguments.checkpoint()],
        help="show which pixels speak for a class",
        description="Writes a picture: each image beside what of it speaks for a class, and its likeliest classes.",
    )
    parser.add_argument(
        "images", nargs="+", type=arguments.path, metavar="IMAGE", help="files, directories, patterns, as for predict"
    )
    parser.add_argument("--output", required=True, type=arguments.path, metavar="FILE", help="to write, .png or .jpg")
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="that is asked about (default: each picture's likeliest)"
    )
    parser.add_argument(
        "--method",
        choices=EXPLANATIONS,
        help=f"{arguments.rows(EXPLANATIONS)} (default: cam; occlusion of an exported file, and where the last block "
        "sees one place alone)",
    )
    parser.set_defaults(run=_explain)


def _explain(flags: argparse.Namespace) -> None:
    output = Path(flags.output)
    if output.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--output {where(output)}: a picture's name ends in {', '.join(_SUFFIXES)}")
    named, _ = named_images(flags.images)
    images = []
    for image in named:
        if image.problem:
            raise UserError(f"{where(image.name)}: {image.problem}")
        images.append(image)
        if len(images) > _MOST:
            raise UserError(f"more than {_MOST} images: they would make a sheet that nobody can look at")
    runtime.configure_jax()
    from googlenet_jax.explain.explanation import explain
    from googlenet_jax.explain.overlay import sheet
    from googlenet_jax.net import load
    from googlenet_jax.system.console import show_log
    from googlenet_jax.system.files import written_beside

    show_log()
    net = load(flags.checkpoint)
    pictures = [image.name if image.data is None else image.data for image in images]
    explanations = explain(net, pictures, flags.label, flags.method)
    predictions = net.predict([explanation.picture for explanation in explanations], _TOP)
    classes = [list(zip(found.labels, found.probabilities, strict=True)) for found in predictions]
    with written_beside(output) as partial:
        sheet(explanations, classes).save(partial, _format(output))
    for image, explanation in zip(images, explanations, strict=True):
        share = 100 * explanation.probability
        print(f"{shown(image.name, 400)}: {share:.2f} %  {shown(explanation.label, 400)}")
    print(f"written to {output}")


def _format(output: Path) -> str:
    return "PNG" if output.suffix.lower() == ".png" else "JPEG"
