"""Pictures of every kind of file, odd and hostile ones too."""

import struct
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from conftest import ROOT
from pictured import encoded, pillow, scene
from PIL import GifImagePlugin, Image, PngImagePlugin

from googlenet_jax.data.crops.resize import resize
from googlenet_jax.data.pictures import jpeg
from googlenet_jax.data.pictures.picture import BadImageError, decode_image, open_picture, read_image
from googlenet_jax.data.pictures.pillow import FORMATS, HEAD, is_image


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
