"""TensorFlow's SavedModel: what TensorFlow Serving serves, as MODEL/1/ of its --model_base_path=MODEL."""

from pathlib import Path

from googlenet_jax.export.target import Options, Target
from googlenet_jax.export.tensorflow_graph import save_network
from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.savedmodel import EXTRA
from googlenet_jax.net import Net


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a directory; see `Target.write`."""
    save_network(net, path, description)
    (path / EXTRA).mkdir()
    (path / EXTRA / FILE).write_text(description.to_json())


TARGET = Target(suffix="", write=write, takes=frozenset({"input", "output_kind", "image_size", "batch", "aux"}))
