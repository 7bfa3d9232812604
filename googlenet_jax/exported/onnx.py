"""ONNX files in ONNX Runtime."""

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.exported.opening import Run, missing
from googlenet_jax.system.runtime import cpu_cores, free_memory

_MOST = 1 << 30  # bytes of a file


def open_onnx(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on a CPU."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise missing("onnxruntime", "onnx", "ONNX") from None

    if path.stat().st_size > _MOST:
        raise ValueError(f"{path.name} of more than 1 GiB")
    _most_memory()
    cores, content = cpu_cores(), path.read_bytes()

    def session(threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # an error is raised, and told of once
        # Threads that wait for each other in a loop take the time from those that decode pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_env_allocators", "1")
        # No fallback, since it would tell of one on standard output.
        facts = {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}
        return onnxruntime.InferenceSession(content, options, **facts)

    together = session(cores)
    description = Description.from_json(together.get_modelmeta().custom_metadata_map.get(KEY, ""))
    (images,) = together.get_inputs()

    @functools.cache
    def apart() -> tuple[Any, ThreadPoolExecutor]:
        return session(1), ThreadPoolExecutor(cores)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return split(batch)
        except Exception as error:  # of a kind that ONNX Runtime does not name in Python
            if "bfc_arena" not in str(error):
                raise
            raise MemoryError(f"it asks for more than the {_most_memory() >> 20} MiB that graphs may take") from None

    def split(batch: np.ndarray) -> list[np.ndarray]:
        if cores == 1 or len(batch) < cores or description.batch is not None:
            return together.run(None, {images.name: batch})
        # Each core its share: faster than all of them at each layer.
        one, threads = apart()
        parts = threads.map(lambda part: one.run(None, {images.name: part}), np.array_split(batch, cores))
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    return description, run


@functools.cache
def _most_memory() -> int:
    """Bytes that all graphs of this process may take, half of what is free: a tiny file can ask for any amount."""
    import onnxruntime as ort

    most = {"max_mem": free_memory() // 2}
    defaults = dict.fromkeys(("arena_extend_strategy", "initial_chunk_size_bytes", "max_dead_bytes_per_chunk"), -1)
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, ort.OrtArenaCfg(most | defaults))
    return most["max_mem"]
