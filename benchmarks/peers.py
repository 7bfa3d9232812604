"""Exports a network and runs it in the system that it is for: prints what that system says and how far the logits are.

    python benchmarks/peers.py --system paddleclas --checkpoint RUN --python /tmp/paddle/bin/python

The export and the logits to compare with are made here; what `--python` names then loads the file strictly, runs it on
the same input, and needs the system and numpy alone:

    caffe       pip install 'opencv-python-headless<4.13' numpy    # cv2.dnn, which reads Caffe's files until 4.12
    mindcv      pip install mindspore==2.10.0 mindcv==0.3.0 'numpy<2'
    mindspore   pip install mindspore==2.10.0 'numpy<2'            # and --zoo FILE
    paddleclas  pip install paddlepaddle==3.3.1                    # paddle.vision's GoogLeNet, the same as PaddleClas's

No package has the zoo's network: --zoo is `research/cv/googlenet/src/googlenet.py` of mindspore/models.

The network's family must be the system's (paper, mindcv, mindspore, paddleclas).
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_IMAGES = 2


def main() -> None:
    """Saves and starts the other Python; or is that one, and loads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", required=True, choices=_SYSTEMS)
    parser.add_argument("--checkpoint", help="network of the system's family")
    parser.add_argument("--python", default=sys.executable, help="that has the system (default: this one)")
    parser.add_argument("--zoo", default="", metavar="FILE", help="of --system mindspore: the zoo's googlenet.py")
    parser.add_argument("--load", metavar="DIR", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.load:
        compare(flags.system, Path(flags.load), flags.zoo)
        return
    with tempfile.TemporaryDirectory() as directory:
        save(flags.system, flags.checkpoint, Path(directory))
        command = [flags.python, __file__, "--system", flags.system, "--load", directory, "--zoo", flags.zoo]
        sys.exit(subprocess.run(command, check=False).returncode)


def save(system: str, checkpoint: str, directory: Path) -> None:
    """Writes the export, the input (n, 3, h, w), and the logits of all heads (n, classes), as `compare` reads them."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from googlenet_jax.system import runtime

    runtime.configure_jax()
    import jax

    from googlenet_jax.config.choices import EXPORTS
    from googlenet_jax.export.exporting import export, sample_crops
    from googlenet_jax.export.target import Options
    from googlenet_jax.net import Net, load

    net = load(checkpoint)
    assert isinstance(net, Net)
    export(net, checkpoint, system, directory / f"net{EXPORTS[system].load().suffix}", Options())
    images = net.preprocess.normalize(jax.numpy.asarray(sample_crops(net.preprocess.image_size, _IMAGES)))
    outputs: Any = net.model.apply(net.variables, images, train=False, aux=True)
    heads = outputs if isinstance(outputs, tuple) else (outputs,)
    inputs = np.asarray(images).transpose(0, 3, 1, 2).copy()
    np.savez(directory / "expected.npz", input=inputs, heads=np.stack([np.asarray(head) for head in heads]))


def compare(system: str, directory: Path, zoo: str) -> None:
    """Loads and runs the export in its own system, and prints the largest differences of logits."""
    with np.load(directory / "expected.npz") as stored:
        images, heads = stored["input"], stored["heads"]
    (file,) = (path for path in directory.iterdir() if path.name.count(".") == 1 and path.stem == "net")
    for got, want, name in zip(_SYSTEMS[system](file, images, heads, zoo), heads, _HEADS, strict=False):
        difference, largest = np.abs(got - want).max(), np.abs(want).max()
        print(f"{system}, {name}: logits up to {largest:.4g} differ by {difference:.3g} at most")


def _caffe(file: Path, images: np.ndarray, heads: np.ndarray, zoo: str) -> list[np.ndarray]:
    import cv2

    read: Any = cv2.dnn  # OpenCV 5 has no such function
    net = read.readNetFromCaffe(str(file.with_suffix(".deploy.prototxt")), str(file))
    net.setInput(images)
    logits, probabilities = net.forward(["loss3/classifier", "prob"])
    wanted = np.exp(heads[0] - heads[0].max(1, keepdims=True))
    wanted /= wanted.sum(1, keepdims=True)
    print(f"OpenCV {cv2.__version__} read {len(net.getLayerNames())} layers")
    print(f"caffe, prob: probabilities differ by {np.abs(probabilities - wanted).max():.3g} at most")
    return [logits]


def _mindcv(file: Path, images: np.ndarray, heads: np.ndarray, zoo: str) -> list[np.ndarray]:
    from mindcv.models import googlenet

    net = googlenet(num_classes=heads.shape[2], aux_logits=len(heads) > 1)
    return [_run_mindspore(net, file, images)]


def _mindspore(file: Path, images: np.ndarray, heads: np.ndarray, zoo: str) -> list[np.ndarray]:
    spec = importlib.util.spec_from_file_location("zoo_googlenet", zoo)
    assert spec is not None and spec.loader is not None, "--system mindspore needs --zoo FILE"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [_run_mindspore(module.GoogleNet(heads.shape[2]), file, images)]


def _run_mindspore(net: Any, file: Path, images: np.ndarray) -> np.ndarray:
    import mindspore

    tensors = mindspore.load_checkpoint(str(file))
    result = mindspore.load_param_into_net(net, tensors, strict_load=True)
    print(f"MindSpore {mindspore.__version__} read {len(tensors)} tensors; load_param_into_net, strictly: {result}")
    net.set_train(False)
    return np.asarray(net(mindspore.Tensor(images)).asnumpy())


def _paddleclas(file: Path, images: np.ndarray, heads: np.ndarray, zoo: str) -> list[np.ndarray]:
    import paddle

    net = paddle.vision.models.googlenet(num_classes=heads.shape[2])
    state = paddle.load(str(file))
    print(f"Paddle {paddle.__version__} read {len(state)} tensors; set_state_dict: {net.set_state_dict(state)}")
    net.eval()
    return [output.numpy() for output in net(paddle.to_tensor(images))]


_HEADS = ("main head", "4a head", "4d head")
_SYSTEMS = {"caffe": _caffe, "mindcv": _mindcv, "mindspore": _mindspore, "paddleclas": _paddleclas}

if __name__ == "__main__":
    main()
