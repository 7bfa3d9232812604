"""The transcoder against three decoders: the same pixels, intervals that stand for themselves, and what it refuses."""

import heapq
import io
import itertools
import struct
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from googlenet_jax.prepare.transcode import _code_lengths, _compiled, transcode

SIZES = [(1, 1), (7, 9), (17, 33), (64, 48), (375, 500)]
CV2_FACTORS = [0x411111, 0x221111, 0x211111, 0x121111, 0x111111]  # 4:1:1, 4:2:0, 4:2:2, 4:4:0, 4:4:4


def picture(height, width, noise=40, seed=0):
    """(height, width, 3) uint8 array: a smooth picture with noise."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), 255 * (x + y) / (height + width)], -1)
    return np.clip(smooth + np.random.default_rng(seed).normal(0, noise, smooth.shape), 0, 255).astype(np.uint8)


def pillow(image, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def encoded(image):
    """The picture by three encoders, with every sampling, several qualities, and with and without restart markers."""
    grey = np.ascontiguousarray(image[..., 1])
    for quality, sampling, optimize, restart in [
        (5, 0, False, 0), (75, 2, True, 0), (90, 1, False, 3), (100, 0, False, 1), (40, 2, False, 1),
    ]:  # fmt: skip
        options = {"optimize": optimize, "restart_marker_blocks": restart}
        yield pillow(image, quality=quality, subsampling=sampling, **options)
        yield pillow(grey, quality=quality, **options)
    yield pillow(image, keep_rgb=True)
    for number, factors in enumerate(CV2_FACTORS):
        flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors, cv2.IMWRITE_JPEG_QUALITY, 30 + 15 * number]
        flags += [cv2.IMWRITE_JPEG_OPTIMIZE, number % 2, cv2.IMWRITE_JPEG_RST_INTERVAL, 2 * (number % 3)]
        yield cv2.imencode(".jpg", image, flags)[1].tobytes()
    for sampling in ("444", "422", "420", "440", "411"):
        yield simplejpeg.encode_jpeg(image, 85, colorsubsampling=sampling)


def decodings(data):
    space = "GRAY" if simplejpeg.decode_jpeg_header(data)[2] == "Gray" else "RGB"
    with Image.open(io.BytesIO(data)) as opened:
        return [
            np.asarray(opened),
            simplejpeg.decode_jpeg(data, space),
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
        ]


def segments(data):
    """Marker, position and body of each segment up to the entropy-coded data of a file without fill bytes."""
    position, marker = 2, 0
    while marker != 0xDA:
        marker, size = struct.unpack_from(">xBH", data, position)
        yield marker, position, data[position + 4 : position + 2 + size]
        position += 2 + size


def patched(data, marker, offset, value):
    """The file with other bytes in the body of its first such segment."""
    at = next(position for kind, position, _ in segments(data) if kind == marker) + 4 + offset
    return data[:at] + value + data[at + len(value) :]


def with_segment(data, marker, body):
    return data[:2] + struct.pack(">BBH", 255, marker, len(body) + 2) + body + data[2:]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", [0, 40])
def test_every_decoder_finds_the_same_pixels(size, noise):
    for number, data in enumerate(encoded(picture(*size, noise))):
        new, _ = transcode(data, mcus=1 + number % 9)
        assert new[-2:] == b"\xff\xd9"
        for before, after in zip(decodings(data), decodings(new), strict=True):
            np.testing.assert_array_equal(after, before, err_msg=f"encoding {number}")


@pytest.mark.parametrize("size", SIZES)
def test_intervals_divide_rows_and_end_with_their_markers(size):
    for data in encoded(picture(*size)):
        new, offsets = transcode(data)
        bodies = {marker: body for marker, _, body in segments(new)}
        (interval,) = struct.unpack(">H", bodies[0xDD])
        factors = [(f >> 4, f & 15) for f in bodies[0xC0][7::3]]
        across, down = np.max(factors, 0)
        row, rows = -(-size[1] // (8 * across)), -(-size[0] // (8 * down))
        assert row % interval == 0
        assert offsets.dtype == np.uint32
        assert len(offsets) == rows * row // interval + 1
        coded = new[len(new) - offsets[-1] :]
        last = list(segments(new))[-1]
        assert len(new) - offsets[-1] == last[1] + 4 + len(last[2])
        for i, (begin, end) in enumerate(itertools.pairwise(offsets)):
            marker = 0xD9 if end == offsets[-1] else 0xD0 + i % 8
            assert coded[end - 2 : end] == bytes([255, marker])
            assert b"\xff" not in coded[begin : end - 2].replace(b"\xff\0", b"")


@pytest.mark.parametrize(
    ("mcus_a_row", "wanted", "interval"),
    [(63, 8, 9), (32, 8, 8), (47, 8, 47), (24, 8, 8), (1, 8, 1), (3, 8, 3), (20, 1, 1), (12, 6, 6), (34, 8, 17)],
)
def test_interval_is_the_nearest_divisor(mcus_a_row, wanted, interval):
    new, _ = transcode(pillow(np.zeros((8, 8 * mcus_a_row), np.uint8)), wanted)
    assert next(body for marker, _, body in segments(new) if marker == 0xDD) == struct.pack(">H", interval)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_interval_is_an_image(mode):
    """Alone under the header, with its size patched, it decodes to its part of the whole."""
    image = Image.fromarray(picture(40, 320)).convert(mode)
    new, offsets = transcode(pillow(image, subsampling=0))
    whole, coded = decodings(new), new[len(new) - offsets[-1] :]
    for i in range(len(offsets) - 1):
        y, x = divmod(8 * 8 * i, 320)
        alone = patched(new[: len(new) - offsets[-1]], 0xC0, 1, struct.pack(">HH", 8, 64))
        alone += coded[offsets[i] : offsets[i + 1] - 2] + b"\xff\xd9"
        for part, pixels in zip(decodings(alone), whole, strict=True):
            np.testing.assert_array_equal(part, pixels[8 * y : 8 * y + 8, x : x + 64])


def test_codes_are_as_short_as_libjpegs():
    """Pillow optimises for the same coefficients and intervals."""
    for image in (picture(128, 320), picture(128, 320, 0), picture(128, 320)[..., 0]):
        data = pillow(image, quality=85, subsampling=0, optimize=True, restart_marker_blocks=8)
        _, offsets = transcode(data)
        last = list(segments(data))[-1]
        theirs = len(data) - last[1] - 4 - len(last[2])
        assert int(offsets[-1]) == pytest.approx(theirs, rel=0.002)  # other bits fill up bytes and make bytes FF


def test_code_lengths_are_optimal_and_limited():
    rng = np.random.default_rng(0)
    for n in (2, 3, 60, 257):
        weights = np.sort(rng.integers(0, 1000, n))
        lengths = _code_lengths(weights)
        heap = weights.tolist()
        heapq.heapify(heap)
        cost = 0
        while len(heap) > 1:
            cost += (joined := heapq.heappop(heap) + heapq.heappop(heap))
            heapq.heappush(heap, joined)
        assert lengths @ weights == cost
        assert sum(0.5**lengths) == 1
    fibonacci = [1, 1]
    while len(fibonacci) < 40:  # without a limit the rarest would have 39 bits
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = _code_lengths(np.array(fibonacci))
    assert lengths.max() == 16
    assert sum(0.5**lengths) == 1


def test_headers_keep_what_decoding_needs():
    exif = Image.Exif()
    exif[0x0112] = 1
    profile = bytes(3000)
    data = pillow(picture(40, 48), exif=exif, icc_profile=profile, comment=b"made by", dpi=(72, 72))
    thumbnail = b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x02" + bytes(12)
    jfif, adobe = thumbnail[:12] + b"\0\0", b"Adobe\0\x64\0\0\0\0\x01"
    data = data[:2] + b"".join(  # its own JFIF marker goes
        b"\xff\xff\xff" + data[position + 1 : position + 4 + len(body)]
        for marker, position, body in segments(data)
        if marker != 0xE0
    ) + data[sum(4 + len(body) for _, _, body in segments(data)) + 2 :]  # fmt: skip
    data = with_segment(with_segment(data, 0xEE, adobe), 0xE0, thumbnail) + b"garbage"
    new, _ = transcode(data)
    assert new.endswith(b"\xff\xd9")
    kinds = [(marker, body) for marker, _, body in segments(new)]
    assert kinds[:2] == [(0xE0, jfif), (0xEE, adobe)]
    assert [marker for marker, _ in kinds[2:]] == [0xDB, 0xDB, 0xC0, 0xC4, 0xDD, 0xDA]
    for before, after in zip(decodings(data), decodings(new), strict=True):
        np.testing.assert_array_equal(after, before)


def test_sof1_16_bit_tables_fill_bytes_and_grey_sampling_factors():
    data = pillow(picture(40, 48), subsampling=2)
    grey = pillow(picture(40, 48)[..., 0], restart_marker_blocks=4)
    sof = next(position for marker, position, _ in segments(data) if marker == 0xC0)
    quantization = next(body for marker, _, body in segments(grey) if marker == 0xDB)
    at = grey.index(quantization) - 4
    doubled = b"\x10" + b"".join(bytes([value > 9, value]) for value in quantization[1:])
    wide = grey[:at] + b"\xff\xdb" + struct.pack(">H", 131) + doubled + grey[at + 69 :]
    for number, odd in enumerate(
        [
            data[: sof + 1] + b"\xc1" + data[sof + 2 :],
            wide,
            patched(grey, 0xC0, 7, b"\x22"),
            grey.replace(b"\xff\xd0", b"\xff\xff\xff\xd0").replace(b"\xff\xd9", b"\xff\xff\xd9"),
        ]
    ):
        new, _ = transcode(odd)
        for before, after in zip(decodings(odd), decodings(new), strict=True):
            np.testing.assert_array_equal(after, before)
        kinds = [marker for marker, _, _ in segments(new)]
        assert (0xC1 if number == 1 else 0xC0) in kinds


def refusals():
    image = picture(40, 48)
    data, exif = pillow(image), Image.Exif()
    exif[0x0112] = 6
    sof = next(position for marker, position, _ in segments(data) if marker == 0xC0)
    sos, end = list(segments(data))[-1][1], len(data) - 2
    one = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    return {
        "not a JPEG": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "progressive": pillow(image, progressive=True),
        "CMYK": pillow(Image.fromarray(image).convert("CMYK")),
        "arithmetic": data[: sof + 1] + b"\xc9" + data[sof + 2 :],
        "lossless": data[: sof + 1] + b"\xc3" + data[sof + 2 :],
        "not 8 bits": patched(data, 0xC0, 0, b"\x0c"),
        "several scans": data[:sos] + one + data[sos + 14 :],
        "60000x40000 pixels": patched(data, 0xC0, 1, struct.pack(">HH", 40000, 60000)),
        "cut off$": patched(data, 0xC0, 1, struct.pack(">HH", 8000, 8000)),
        "EXIF": pillow(image, exif=exif),
        "factors": patched(data, 0xC0, 7, b"\x44"),
        "table is missing": patched(data, 0xDA, 2, b"\x33"),
        "damaged table": patched(data, 0xC4, 1, b"\x03\x07"),
        "damaged header": with_segment(data, 0xF5, b"what"),
        "without a size": patched(data, 0xC0, 1, b"\0\0"),
        "at MCU": pillow(image, quality=95).replace(b"\xff\0", b"\xff\xff\0"),  # decoders do not agree on these
        "MCU 8 of 9": data[:end] + b"\0\0" + data[end:],  # more data than MCUs, whose number is told with it
    }


@pytest.mark.parametrize("reason", list(refusals()))
def test_what_cannot_be_transcoded_is_refused_in_words(reason):
    with pytest.raises(ValueError, match=reason):
        transcode(refusals()[reason])


@pytest.mark.parametrize("restart", [0, 2])
def test_every_truncation_is_refused(restart):
    data = pillow(picture(40, 48), restart_marker_blocks=restart)
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"cut off|not a JPEG|table|header|scan"):
            transcode(data[:length])


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 2, "subsampling": 0}, {"optimize": True}])
def test_damage_is_refused_or_decodes(options):
    """500 files with one to three bytes changed: never a crash, and no file that a decoder then refuses."""
    data, rng = pillow(picture(40, 48), **options), np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(2, len(data), rng.integers(1, 4))] = rng.integers(256)
        try:
            new, offsets = transcode(damaged.tobytes())
        except ValueError:
            refused += 1
            continue
        assert new[-2:] == b"\xff\xd9"
        assert (np.diff(offsets.astype(int)) > 2).all()
        with Image.open(io.BytesIO(new)) as opened:
            opened.load()
    assert 100 < refused < 500


def test_threads_agree():
    files = list(encoded(picture(64, 48)))
    with ThreadPoolExecutor(4) as pool:
        assert [new for new, _ in pool.map(transcode, files)] == [transcode(data)[0] for data in files]


def test_compiles_without_a_cache_that_can_be_written(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert _compiled(lambda n: n + 1)(1) == 2
