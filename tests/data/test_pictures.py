"""Pictures of every kind of file, their windows, and resizing, against Pillow."""

import io
import struct
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from conftest import ROOT
from PIL import GifImagePlugin, Image, PngImagePlugin

from googlenet_jax.data.crops.resize import FILTERS, center_crop, crop_at, resize
from googlenet_jax.data.crops.windows import DRAWS, paddle_window, torchvision_window
from googlenet_jax.data.pictures import jpeg
from googlenet_jax.data.pictures.picture import BadImageError, Pixels, decode_image, open_picture, read_image
from googlenet_jax.data.pictures.pillow import FORMATS, HEAD, is_image


def scene(height, width, seed=0):
    """Smooth shapes and some noise, so that every filter has something to do."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / (7 + i) + y / (11 - i)) for i in range(3)]
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return (np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)


def encoded(image, format="JPEG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


JPEGS = {
    "4:4:4": {"subsampling": 0, "quality": 90},
    "4:2:0": {"subsampling": 2, "quality": 75},
    "4:2:2": {"subsampling": 1},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_a_window_has_the_pixels_that_the_whole_has(options):
    data = encoded(scene(83, 117), **options)
    whole, picture = pillow(data), open_picture(data, "a.jpg")
    np.testing.assert_array_equal(picture.pixels(), whole)
    rng = np.random.default_rng(0)
    for _ in range(40):
        left, top = int(rng.integers(116)), int(rng.integers(82))
        box = (left, top, int(rng.integers(left + 1, 118)), int(rng.integers(top + 1, 84)))
        pixels, edges = picture.region(box)
        a, b, c, d = map(int, edges)
        np.testing.assert_array_equal(pixels[b:d, a:c], whole[box[1] : box[3], box[0] : box[2]])


def test_antialiased_windows_are_pillows():
    """As torchvision has them: cut, then resized; every filter of the paper."""
    data = encoded(scene(300, 401), quality=92)
    picture, whole = open_picture(data, "a.jpg"), Image.fromarray(pillow(data))
    for box in ((10, 20, 211, 180), (0, 0, 401, 300), (200, 100, 230, 140)):
        for filter in FILTERS:
            expected = np.asarray(whole.crop(box).resize((64, 64), filter)).astype(int)
            assert np.abs(resize(picture, 64, box, True, filter) - expected).mean() < 1, (box, filter)


def test_windows_without_antialiasing_are_near_the_pixels_they_sample():
    image = scene(90, 120)
    for box in ((5, 6, 45, 46), (0, 0, 120, 90)):
        y, x = ((np.arange(32) + 0.5) * (box[i + 2] - box[i]) / 32 - 0.5 + box[i] for i in (1, 0))
        y, x = y.clip(box[1], box[3] - 1), x.clip(box[0], box[2] - 1)
        top, left = np.floor(y).astype(int), np.floor(x).astype(int)
        down, right = np.minimum(top + 1, box[3] - 1), np.minimum(left + 1, box[2] - 1)
        v, u = (y - top)[:, None, None], (x - left)[None, :, None]
        rows = [(image[a][:, left] * (1 - u) + image[a][:, right] * u) for a in (top, down)]
        expected = rows[0] * (1 - v) + rows[1] * v
        assert np.abs(resize(Pixels(image), 32, box, antialias=False) - expected).max() <= 1.01


def test_large_jpegs_are_decoded_smaller():
    image = np.asarray(Image.fromarray(scene(50, 70)).resize((1120, 800), Image.Resampling.BICUBIC))
    data = encoded(image, quality=95)
    picture, whole = open_picture(data, "a.jpg"), Image.fromarray(pillow(data))
    box = (100, 50, 1060, 750)
    expected = np.asarray(whole.resize((64, 64), Image.Resampling.BILINEAR, box)).astype(int)
    assert picture.region(box, 4)[0].shape[1] < 300
    assert np.abs(resize(picture, 64, box, antialias=True) - expected).mean() < 1
    nearest = np.asarray(whole.resize((64, 64), Image.Resampling.NEAREST, box)).astype(int)
    assert np.abs(resize(picture, 64, box, antialias=False) - expected).mean() < np.abs(nearest - expected).mean()


def test_central_crops_are_pillows_to_the_bit():
    data = encoded(scene(120, 160))
    whole = Image.fromarray(pillow(data))
    expected = np.asarray(whole.resize((56, 56), Image.Resampling.BILINEAR, (27.5, 7.5, 132.5, 112.5)))
    np.testing.assert_array_equal(center_crop(open_picture(data, "a.jpg"), 56, 0.875), expected)


def test_center_crop_is_resize_then_crop():
    """Against the two-step form: short side to size / fraction, then the central square."""
    y, x = np.mgrid[:120, :160]
    image = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    two_steps = np.asarray(Image.fromarray(image).resize((64 * 160 // 120, 64), Image.Resampling.BILINEAR))
    left = (two_steps.shape[1] - 56) // 2
    expected = two_steps[4:60, left : left + 56].astype(int)
    assert np.abs(center_crop(image, 56, 56 / 64).astype(int) - expected).max() <= 2


def test_random_crop_is_a_window_of_the_resized_image():
    picture = Pixels(scene(64, 64))
    places = np.random.default_rng(0).random((20, 2))
    crops = [crop_at(picture, 56, 56 / 64, True, *place) for place in places]
    assert {crop.shape for crop in crops} == {(56, 56, 3)}
    assert len({crop.tobytes() for crop in crops}) == 20


def windows(draw, area, aspect, count=2000, width=400, height=300):
    numbers = np.random.default_rng(0).random((count, DRAWS)).tolist()
    left, top, right, bottom = np.array([draw(width, height, row, area, aspect) for row in numbers]).T
    assert ((left >= 0) & (left < right) & (right <= width) & (top >= 0) & (top < bottom) & (bottom <= height)).all()
    return (right - left) / (bottom - top), (right - left) * (bottom - top) / (width * height), left, top


def test_torchvisions_windows():
    """Areas uniform, aspects uniform in the logarithm, where nothing has to be rejected."""
    aspects, areas, left, top = windows(torchvision_window, (0.1, 0.4), (0.5, 2.0))
    assert abs(np.log(aspects).mean()) < 0.03
    assert abs(areas.mean() - 0.25) < 0.01
    assert abs(np.quantile(areas, 0.25) - 0.175) < 0.01
    assert left.std() > 50 and top.std() > 30
    sides = torchvision_window(1000, 10, [0.5] * DRAWS, (0.9, 1.0), (0.75, 4 / 3))
    assert sides == (493, 0, 506, 10)  # no try fits: the central part of the longest aspect allowed


def test_paddles_windows_have_uniform_aspects():
    """RandCropImage: the aspect itself is uniform, where torchvision's is in the logarithm; no crop is tried twice."""
    aspects, areas, *_ = windows(paddle_window, (0.05, 0.2), (0.5, 2.0), width=400, height=400)
    assert abs(aspects.mean() - 1.25) < 0.03  # uniform in the logarithm it would be 1.08
    assert 0.04 < areas.min() < areas.max() <= 0.2


def odd_images():
    """{name: (file, what is said of it, the pixels that a viewer shows)}."""
    image = scene(40, 60)
    upright = Image.fromarray(image)
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned_file = encoded(turned, "JPEG", exif=exif, quality=95)
    cmyk = encoded(upright.convert("CMYK"), "JPEG", quality=95)
    deep = (image[..., 0].astype(np.uint16) << 8) | 77
    frames = [upright.quantize(32), turned.resize((60, 40)).quantize(32)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    png = encoded(image, "PNG")
    gray = np.repeat(image[..., :1], 3, -1)
    return {
        "turned.jpg": (turned_file, "EXIF", np.rot90(pillow(turned_file), -1)),
        "cmyk.jpg": (cmyk, "CMYK", pillow(cmyk)),
        "deep.png": (encoded(Image.fromarray(deep), "PNG"), "16 bits", gray),
        "moving.gif": (animated, "several frames", np.asarray(frames[0].convert("RGB"))),
        "png.jpg": (png, "a PNG file", image),
        "jpeg.png": (encoded(image, quality=95), "a JPEG file", pillow(encoded(image, quality=95))),
    }


@pytest.mark.parametrize("name", odd_images())
def test_odd_images_look_as_they_should(name):
    data, said, shown = odd_images()[name]
    picture = open_picture(data, name)
    assert said in picture.oddity
    assert picture.oddity.startswith(name)
    np.testing.assert_array_equal(picture.pixels(), shown)
    assert open_picture(data, "no-extension").pixels().shape == shown.shape


def test_usual_images_are_not_odd():
    image = scene(20, 30)
    for name, data in {
        "a.jpg": encoded(image),
        "a.JPEG": encoded(image, progressive=True),
        "gray.jpg": encoded(Image.fromarray(image).convert("L")),
        "a.png": encoded(image, "PNG"),
        "palette.png": encoded(Image.fromarray(image).quantize(16), "PNG"),
        "a.bmp": encoded(image, "BMP"),
        "a.webp": encoded(image, "WEBP"),
    }.items():
        picture = open_picture(data, name)
        assert (picture.oddity, picture.pixels().shape) == ("", (20, 30, 3))
        np.testing.assert_array_equal(picture.pixels(), pillow(data))


def test_images_that_cannot_be_read(tmp_path):
    whole = encoded(scene(64, 64))
    bad = {
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "cut.png": b"\x89PNG\r\n\x1a\n1234",
        "cut.jpg": whole[: len(whole) // 2],
        "header.jpg": whole[:40],
        "zeros.jpg": whole[:300] + bytes(len(whole) - 300),
        "float.tiff": encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
    }
    for name, data in bad.items():
        with pytest.raises(BadImageError, match=name):
            decode_image(data, name)
    with pytest.raises(BadImageError, match="No such file"):
        read_image(tmp_path / "none.jpg")
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    with pytest.raises(BadImageError, match="bomb"):
        read_image(bomb)


def test_large_metadata_is_read_and_bounded():
    """Editing history and printers' profiles of some megabytes."""
    info = PngImagePlugin.PngInfo()
    info.add_text("xmp", "a" * 2_000_000, zip=True)
    image = scene(8, 8)
    for data in (encoded(image, "PNG", pnginfo=info), encoded(image, "PNG", icc_profile=bytes(3_000_000))):
        picture = open_picture(data, "a.png")
        assert picture.oddity == ""
        np.testing.assert_array_equal(picture.pixels(), image)
    info.add_text("bomb", "a" * 70_000_000, zip=True)
    with pytest.raises(BadImageError, match=r"a\.png"):
        decode_image(encoded(image, "PNG", pnginfo=info), "a.png")


def strips(count, magic):
    """A TIFF file that says to be of so many strips."""
    big = magic in (b"II+\0", b"MM\0+")
    order = "<" if magic[:1] == b"I" else ">"
    kind, head = ("Q", struct.pack(order + "HHQ", 8, 0, 16)) if big else ("I", struct.pack(order + "I", 8))
    tags = [(256, 8), (257, 8), (258, 8), (262, 1), (273, 8), (278, 1), (279, 8)]
    counts = {273: count, 279: count}
    entries = b"".join(struct.pack(f"{order}HH{kind}{kind}", tag, 4, counts.get(tag, 1), value) for tag, value in tags)
    return magic + head + struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + bytes(8)


@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+"])
def test_files_of_too_many_strips_are_refused(magic):
    with pytest.raises(BadImageError, match=r"^a: too many strips; save it anew"):
        decode_image(strips(200_000, magic), "a")
    with pytest.raises(BadImageError, match=r"damaged|not an image"):
        decode_image(strips(9, magic), "a")


def test_files_that_would_take_long_are_refused():
    progressive = encoded(scene(64, 64), progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    with pytest.raises(BadImageError, match=r"^a: too many scans; save it anew"):
        decode_image(progressive[:-2] + 50 * scan + b"\xff\xd9", "a")
    assert decode_image(progressive[:-2] + 20 * scan + b"\xff\xd9", "a").shape == (64, 64, 3)
    plain = b"P2 2 1 255 %b 7 9"
    with pytest.raises(BadImageError, match=r"^a: too many comments; save it anew"):
        decode_image(plain % (b"#\n" * 2000), "a")
    assert decode_image(plain % (b"#\n" * 20), "a")[0, :, 0].tolist() == [7, 9]


def test_frames_are_not_counted():
    film = encoded(Image.new("L", (9, 9)), "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 200)])
    with mock.patch.object(GifImagePlugin.GifImageFile, "n_frames", new_callable=mock.PropertyMock) as counted:
        assert open_picture(film, "a").oddity == "a: several frames"
    assert not counted.called


def test_heic_is_refused_with_the_way_out():
    for brand in (b"heic", b"mif1"):
        with pytest.raises(BadImageError, match=r"a\.heic: a HEIC file; convert it"):
            decode_image(b"\0\0\0\x18ftyp" + brand + bytes(100), "a.heic")


def test_images_are_known_by_their_first_bytes():
    image = scene(8, 8)
    for kind in FORMATS:
        assert is_image(encoded(image, kind)[:HEAD]), kind
    grey = Image.fromarray(image).convert("L")
    assert is_image(encoded(grey, "PPM")[:HEAD])
    for text in (b"", b"BMW sells cars", b"P6", b"P7 x", b"RIFF1234WAVEfmt ", b"%PDF-1.7", b"train/a.jpg 0\n"):
        assert not is_image(text), text


def test_pillow_says_nothing_of_odd_files(tmp_path):
    """In a process of its own, since pytest has warnings' filters for itself."""
    palette = Image.fromarray(scene(8, 8)).quantize(8)
    palette.info["transparency"] = bytes(range(8))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x09\0" + bytes(range(40))
    files = {
        "a.png": encoded(palette, "PNG", transparency=bytes(range(8))),
        "b.webp": encoded(scene(8, 8), "WEBP", exif=exif),
        "c.jpg": encoded(Image.fromarray(scene(8, 8)).convert("CMYK"), "JPEG", exif=exif),
        "d.tiff": encoded(scene(8, 8), "TIFF", tiffinfo={270: "x" * 100}).replace(b"\x64\0\0\0", b"\xff\xff\0\0"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    plain = (
        "import sys, io; from PIL import Image\nfor p in sys.argv[1:]: i = Image.open(p); i.getexif(); i.convert('RGB')"
    )
    ours = (
        "import sys; from googlenet_jax.data.pictures.picture import read_image\nfor p in sys.argv[1:]: read_image(p)"
    )
    paths = [str(tmp_path / name) for name in files]
    loud, silent = (
        subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, cwd=ROOT)
        for code in (plain, ours)
    )
    assert "UserWarning" in loud.stderr
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


def test_only_formats_of_images_are_opened():
    """Of PostScript, Pillow would make an image by starting a program."""
    with pytest.raises(BadImageError, match="not an image"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "a.jpg")


def test_a_file_whose_size_decoders_see_differently_is_refused():
    small, large = encoded(scene(16, 16)), encoded(scene(64, 64))
    for first, second in ((small, large), (large, small)):
        # A marker without a length: who reads one skips the first image's header.
        two = b"\xff\xd8\xff\x01" + (len(first) + 2).to_bytes(2, "big") + first[2:] + second[2:]
        try:
            picture = open_picture(two, "a.jpg")
            assert picture.region((0, 0, picture.width, picture.height))[0].shape[:2] == (picture.height, picture.width)
        except BadImageError as error:
            assert str(error).startswith("a.jpg: ")
    frame = jpeg.parse(large)
    for damaged in (jpeg.with_size(large, frame, 64, 640), jpeg.with_size(large, frame, 9, 9)):
        picture = open_picture(bytes(damaged), "a.jpg")
        assert picture.pixels().shape == (picture.height, picture.width, 3)


def test_very_wide_images_are_cropped_like_others():
    picture = open_picture(encoded(scene(20, 30_000)), "wide.jpg")
    assert (picture.width, picture.height) == (30_000, 20)
    assert center_crop(picture, 16, 0.875).shape == (16, 16, 3)


def test_every_cut_and_flip_of_a_jpeg_is_an_image_or_one_line():
    data = encoded(scene(40, 56), quality=60)
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(data[: rng.integers(2, len(data) + 1)])
        for _ in range(rng.integers(0, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            picture = open_picture(bytes(damaged), "a.jpg")
            if picture.width * picture.height < 1_000_000:
                resize(picture, 16, (0, 0, picture.width, picture.height // 2 + 1))
        except BadImageError as error:
            assert str(error).startswith("a.jpg: ")


def test_exif_orientations_are_found_in_both_byte_orders():
    for order, mark in (("little", b"II*\0"), ("big", b"MM\0*")):
        entry = b"".join(number.to_bytes(size, order) for number, size in ((0x0112, 2), (3, 2), (1, 4), (8, 2), (0, 2)))
        tiff = mark + (8).to_bytes(4, order) + (1).to_bytes(2, order) + entry + bytes(4)
        block = b"Exif\0\0" + tiff
        data = encoded(scene(8, 8))
        marked = data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]
        assert jpeg.parse(marked).orientation == 8
    assert jpeg.parse(data).orientation == 1
