"""Writes the network and the pictures that `serving.py` sends; a process of its own, as JAX stays in memory."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

_WIDTHS = (160, 320, 500, 640, 1024, 1600)


def main() -> None:
    """Prints where all of it is, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="to write to")
    parser.add_argument("--checkpoint", help="default: torchvision's network with random weights")
    parser.add_argument("--pictures", action="store_true", help="write pictures too")
    flags = parser.parse_args()
    checkpoint = flags.checkpoint or random_checkpoint(flags.directory)
    weights = exports(checkpoint, flags.directory)
    pictures = write_pictures(flags.directory) if flags.pictures else []
    print(json.dumps({"checkpoint": checkpoint, "weights": weights, "pictures": pictures}))


def random_checkpoint(directory: Path) -> str:
    """A network of torchvision's family, which PyTorch can run too, with the weights of step 0."""
    from googlenet_jax.system import runtime

    runtime.configure_jax()
    import jax
    import numpy as np

    from googlenet_jax.config import default_config
    from googlenet_jax.data.preprocess import make_preprocess
    from googlenet_jax.export.exporting import export
    from googlenet_jax.export.target import Options
    from googlenet_jax.importers.importer import import_checkpoint
    from googlenet_jax.models.make_model import make_model
    from googlenet_jax.net import Net
    from googlenet_jax.train.state import draw_variables

    config = default_config()
    config.update_from_flattened_dict(
        {"dataset.image_size": 224, "model.variant": "torchvision", "model.aux_heads": False, "model.num_classes": 1000}
    )
    model = make_model(config, 1000)
    variables = jax.tree.map(np.asarray, draw_variables(model, config))
    net = Net(model, variables, [str(i) for i in range(1000)], make_preprocess(config), config, 0)
    export(net, "random weights", "torchvision", directory / "random.pth", Options())
    import_checkpoint(str(directory / "random.pth"), directory / "checkpoint")
    return str(directory / "checkpoint")


def exports(checkpoint: str, directory: Path) -> dict[str, str]:
    """Writes the network for the peers.

    Args:
      checkpoint: of the network.
      directory: to write to.

    Returns:
      The files by runtime; without PyTorch's where the network is not of torchvision's family.
    """
    from googlenet_jax.system import runtime

    runtime.configure_jax()
    from googlenet_jax.errors import UserError
    from googlenet_jax.export.exporting import export
    from googlenet_jax.export.target import Options
    from googlenet_jax.net import Net, load

    net = load(checkpoint)
    assert isinstance(net, Net) and net.preprocess.image_size == 224, "a checkpoint of a network for 224 px"
    files = {}
    for name, form, file in (("onnxruntime", "onnx", "net.onnx"), ("torch", "torchvision", "net.pth")):
        try:
            export(net, checkpoint, form, directory / file, Options())
            files[name] = str(directory / file)
        except UserError as error:
            print(f"no weights for {name}: {error}", file=sys.stderr)
    return files


def write_pictures(directory: Path) -> list[str]:
    """Saves scikit-learn's two photographs at several sizes; their files."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    files = []
    for number, pixels in enumerate(load_sample_images().images):
        image = Image.fromarray(pixels)
        for width in _WIDTHS:
            file = directory / f"picture{number}_{width}.jpg"
            height = round(width * image.height / image.width)
            image.resize((width, height), Image.Resampling.BICUBIC).save(file, quality=90)
            files.append(str(file))
    return files


if __name__ == "__main__":
    main()
