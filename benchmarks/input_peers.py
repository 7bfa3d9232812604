"""What `input.py` gives every contestant to do, how it watches them, and those of other projects, as these write them.

Each imports its library when it is called, so that a process pays only for the one that it measures.
"""

import contextlib
import itertools
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, by channel, 0..1
STD = (0.229, 0.224, 0.225)
AREA, ASPECT, ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10


class Job(NamedTuple):
    """What every contestant is to do.

    Attributes:
      root: of what was prepared: links to the files in folder/train/<class>/ and folder/val/<class>/, and packs.
      images: in folder/train, and timed.
      workers: threads or processes.
      batch: images a batch.
      size: side of the result, pixels.
    """

    root: str
    images: int
    workers: int
    batch: int
    size: int

    def files(self) -> list[Path]:
        """The training images."""
        return sorted(Path(self.root, "folder", "train").glob("*/*"))


def link_files(data: Path, job: Job) -> None:
    """Links to a folder's JPEG files in root/folder, each as often as it takes to make so many images."""
    files = sorted(path.resolve() for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        raise SystemExit(f"{data} holds no JPEG files")
    random.Random(0).shuffle(files)
    for split, count in (("train", job.images), ("val", 10)):
        for number, path in zip(range(count), itertools.cycle(files), strict=False):
            link = Path(job.root, "folder", split, str(number % 10), f"{number:07d}.jpg")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)


def over_processes(process: psutil.Process, value: Callable[[psutil.Process], float]) -> float:
    """The sum of a value over a process and all that it started; one that is just ending may be left out."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            total += value(each)
    return total


def _cpu_seconds() -> float:
    return over_processes(psutil.Process(), lambda each: sum(each.cpu_times()[:2]))


def measure(batches: Iterator[Any], job: Job) -> dict[str, Any]:
    """Takes the first batch, some more until every worker is in its stride, and then those that are timed."""
    next(batches)
    first = time.monotonic()
    for _ in range(2 * job.workers):
        next(batches)
    count = -(-job.images // job.batch)
    start, cpu = time.perf_counter(), _cpu_seconds()
    for _ in range(count):
        batch = next(batches)
    seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
    images = np.asarray(batch)
    if images.size != 3 * job.batch * job.size**2 or not images.std():
        raise ValueError(f"a batch of shape {images.shape} that cannot be right")
    timed = count * job.batch
    return {"first": first, "rate": timed / seconds, "cpu_rate": timed / cpu, "dtype": str(images.dtype)}


def watch(command: list[str]) -> dict[str, Any]:
    """Runs what prints an object in JSON as its last line.

    Returns:
      The object, with `first` made seconds since the process's start, and `peak`, its most memory, in bytes.

    Raises:
      ChildProcessError: if it failed; with the last line that it wrote.
    """
    with tempfile.TemporaryFile("w+") as errors:
        start, peak = time.monotonic(), 0.0
        process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        while process.poll() is None:
            peak = max(peak, over_processes(process, lambda each: each.memory_full_info().pss))
            time.sleep(0.1)
        if process.returncode:
            errors.seek(0)
            raise ChildProcessError(f"status {process.returncode}\n{errors.read()}".strip().splitlines()[-1][:150])
        result = json.loads(process.stdout.read().splitlines()[-1])
    return result | {"peak": peak, "first": result.get("first", start) - start}


class PillowImages:
    """A map-style dataset for a PyTorch `DataLoader`: what torchvision's ImageFolder and its usual transforms do.

    RandomResizedCrop (antialiased, bilinear), RandomHorizontalFlip, and then ToTensor and Normalize, or PILToTensor.

    Args:
      paths: of JPEG files.
      size: side of the result, pixels.
      normalize: (3, size, size) float32 tensors, normalised; otherwise uint8.
    """

    def __init__(self, paths: Sequence[Path], size: int, normalize: bool):
        import torch
        from PIL import Image

        self.paths, self.size, self.normalize = [str(path) for path in paths], size, normalize
        self.torch, self.image = torch, Image
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        self.log_aspect = torch.log(torch.tensor(ASPECT)).tolist()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        torch, image_module = self.torch, self.image
        with open(self.paths[index], "rb") as file:
            image = image_module.open(file).convert("RGB")
        left, top, width, height = self.window(*image.size)
        image = image.crop((left, top, left + width, top + height))
        image = image.resize((self.size, self.size), image_module.Resampling.BILINEAR)
        if torch.rand(1) < 0.5:
            image = image.transpose(image_module.Transpose.FLIP_LEFT_RIGHT)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        if not self.normalize:
            return tensor
        return tensor.contiguous().to(torch.float32).div_(255).sub_(self.mean).div_(self.std)

    def window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Draws left, top, width and height of a part of an image, pixels."""
        torch = self.torch
        for _ in range(ATTEMPTS):
            target = width * height * torch.empty(1).uniform_(*AREA).item()
            ratio = torch.exp(torch.empty(1).uniform_(*self.log_aspect)).item()
            w, h = round((target * ratio) ** 0.5), round((target / ratio) ** 0.5)
            if 0 < w <= width and 0 < h <= height:
                top = int(torch.randint(0, height - h + 1, (1,)))
                return int(torch.randint(0, width - w + 1, (1,))), top, w, h
        w, h = min(width, round(height * ASPECT[1])), min(height, round(width / ASPECT[0]))
        return (width - w) // 2, (height - h) // 2, w, h


def torch_batches(job: Job, normalize: bool) -> Iterator[Any]:
    """A PyTorch `DataLoader` over files: worker processes that stay, two batches ahead each, a shuffled order."""
    from torch.utils.data import DataLoader, RandomSampler

    images: Any = PillowImages(job.files(), job.size, normalize)
    loader = DataLoader(
        images,
        batch_size=job.batch,
        sampler=RandomSampler(images, num_samples=1 << 40),  # without end: epoch after epoch, each a permutation
        num_workers=job.workers,
        persistent_workers=True,
        prefetch_factor=2,
        drop_last=True,
    )
    return iter(loader)


def pack_tfrecords(job: Job, shards: int = 4) -> None:
    """Packs the files as TensorFlow Datasets does: `tf.train.Example`s with `image` and `label`, in a few shards."""
    folder = Path(job.root, "tfrecords")
    if folder.is_dir():
        return
    tf = _tensorflow()
    folder.mkdir()
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(folder / f"{shard}.tfrecord")) as writer:
            for path in job.files()[shard::shards]:
                image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()]))
                label = tf.train.Feature(int64_list=tf.train.Int64List(value=[0]))
                features = tf.train.Features(feature={"image": image, "label": label})
                writer.write(tf.train.Example(features=features).SerializeToString())


def tf_batches(job: Job, normalize: bool) -> Iterator[np.ndarray]:
    """tf.data in the shape of Flax's ImageNet example: only the crop is decoded, and resized without antialiasing.

    Its shuffle buffer of 16 batches of files and its 10 batches ahead are the example's too. Where no window is found
    in ten draws this takes the whole image rather than its centre.

    Args:
      job: its root holds what `pack_tfrecords` made.
      normalize: bicubic and normalised float32, the example's; otherwise bilinear and uint8.
    """
    tf = _tensorflow()
    fields = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    mean, std = (tf.constant(values, shape=(1, 1, 3)) * 255 for values in (MEAN, STD))
    whole = tf.constant([0.0, 0.0, 1.0, 1.0], shape=(1, 1, 4))
    method = tf.image.ResizeMethod.BICUBIC if normalize else tf.image.ResizeMethod.BILINEAR

    def preprocess(record: Any) -> Any:
        row = tf.io.parse_single_example(record, fields)
        corner, extent, _ = tf.image.sample_distorted_bounding_box(
            tf.image.extract_jpeg_shape(row["image"]),
            bounding_boxes=whole,
            min_object_covered=0.1,
            aspect_ratio_range=ASPECT,
            area_range=AREA,
            max_attempts=ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([corner[:2], extent[:2]], 0)
        image = tf.image.decode_and_crop_jpeg(row["image"], window, channels=3)
        image = tf.reshape(tf.image.resize(image, (job.size, job.size), method), (job.size, job.size, 3))
        if not normalize:
            image = tf.cast(tf.round(image), tf.uint8)
        image = tf.image.random_flip_left_right(image)
        return ((image - mean) / std if normalize else image), row["label"]

    options = tf.data.Options()
    options.threading.private_threadpool_size = job.workers
    options.threading.max_intra_op_parallelism = 1
    shards = tf.data.Dataset.list_files(str(Path(job.root, "tfrecords", "*.tfrecord")))
    data = shards.interleave(tf.data.TFRecordDataset, block_length=16, num_parallel_calls=tf.data.AUTOTUNE)
    data = data.repeat().shuffle(16 * job.batch, seed=0).map(preprocess, num_parallel_calls=tf.data.AUTOTUNE)
    data = data.batch(job.batch, drop_remainder=True).prefetch(10).with_options(options)
    return (images for images, _ in data.as_numpy_iterator())


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    return tensorflow


def cached_loop(images: np.ndarray, labels: np.ndarray, batch: int, rng: np.random.Generator) -> Iterator[Any]:
    """One epoch of small images as PyTorch scripts for CIFAR-10 make it: image by image, in float32, on the host.

    Padded by 4 and cropped at random, half of them mirrored, an 8 x 8 square set to zero, channels first.

    Args:
      images: (n, h, w, 3) uint8 array.
      labels: (n,) int32 array.
      batch: images a batch; a rest is left out.
      rng: source of the order and of all that is random.

    Yields:
      ((batch, 3, h, w) float32 array, (batch,) int32 array)
    """
    height, width = images.shape[1:3]
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def one(image: np.ndarray) -> np.ndarray:
        top, left, y, x = (rng.random(4) * (9, 9, height, width)).astype(int)
        padded = np.zeros((height + 8, width + 8, 3), np.uint8)
        padded[4:-4, 4:-4] = image
        image = padded[top : top + height, left : left + width]
        if rng.random() < 0.5:
            image = image[:, ::-1]
        values = (image.astype(np.float32) / 255 - mean) / std
        values[max(y - 4, 0) : y + 4, max(x - 4, 0) : x + 4] = 0
        return values.transpose(2, 0, 1)

    order = rng.permutation(len(images))
    for start in range(0, len(order) - batch + 1, batch):
        chosen = order[start : start + batch]
        yield np.stack([one(images[i]) for i in chosen]), labels[chosen]
