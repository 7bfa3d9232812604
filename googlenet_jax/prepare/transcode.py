"""JPEG files rewritten without loss so that a part can be decoded without the rest ("the standard": ITU-T T.81).

The coefficients stay as they are; only their Huffman coding is new, with restart markers at which a reader can begin.
It buys 1.13 to 1.25 times as many images a second in training (docs/measured.md). libjpeg-turbo's jpegtran does the
same (`-optimize -restart 8B`), but no package on PyPI brings it: PyTurboJPEG needs the system's library and has no
restart markers in its transforms, mozjpeg-lossless-optimization writes progressive files, jpeglib has neither markers
nor optimal codes. Where one comes that does, it should take this file's place.
"""

import struct
from collections.abc import Callable

import numba
import numpy as np

from googlenet_jax.data.pictures import jpeg
from googlenet_jax.data.pictures.picture import MAX_PIXELS

_Segments = dict[tuple[int, int], bytes]  # marker and, for a table, its number (0 for others) to what it holds

_SOF, _DHT, _SOS, _DQT, _DRI, _JFIF, _ADOBE, _COMMENT = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE
_KEPT = {_SOF: b"", _SOF + 1: b"", _SOS: b"", _DRI: b"", _JFIF: b"JFIF\0", _ADOBE: b"Adobe"}  # how they must begin
_REFUSED = {0xC2: "progressive"} | dict.fromkeys((0xC3, *range(0xC5, 0xD0)), "lossless, hierarchical or arithmetic")
_RUN, _SIZE = np.divmod(np.arange(256), 16)  # what a symbol says: zeros before a coefficient, and its bits
_NOT_BASELINE = (_SIZE > 10) | ((_SIZE == 0) & (_RUN != 0) & (_RUN != 15))  # for AC


def transcode(data: bytes, mcus: int = 8) -> tuple[bytes, np.ndarray]:
    """Writes a baseline JPEG again with a restart marker every few MCUs, its coefficients unchanged.

    An interval is a divisor of the MCUs a row, so that every row begins with one: of the divisors not below mcus / 4
    (short ones make the file larger) the nearest to mcus by ratio, of two the larger; if there is none, the whole row.

    Args:
      data: a JPEG file: Huffman-coded in one sequential scan, 8 bits, one or three components.
      mcus: MCUs wanted an interval, at least 1.

    Returns:
      The new file, without EXIF, profile, thumbnail and comments (SOF0; SOF1 if it has 16-bit quantization), and an
      (intervals + 1,) uint32 array: interval i is bytes offsets[i]:offsets[i + 1] of the entropy-coded data, which
      end the file, including the two bytes of the marker behind it (RST, or EOI for the last).

    Raises:
      ValueError: with the reason in a few words, for a file of another kind, damaged or cut off, to be turned by its
        EXIF orientation, or of more than `MAX_PIXELS`.
    """
    found, position = _read_header(data)
    channels, coders, row, total = _read_layout(jpeg.parse(data), found)
    if 2 * total * len(channels) > 8 * (len(data) - position):  # a block has two codes: bounds what is allocated
        raise ValueError("cut off")
    divisors = [n for n in range(1, row + 1) if row % n == 0 and (4 * n >= mcus or n == row)]
    interval = min(divisors, key=lambda n: (max(n, mcus) / min(n, mcus), -n))
    keys = sorted(set(coders.flat))
    lookup = np.stack([_lookup(found[_DHT, key]) for key in keys])
    short = np.where(lookup[:, ::128] < 10 << 8, lookup[:, ::128], 0)  # by 9 bits, small enough for the nearest cache
    source, coders = np.frombuffer(data, np.uint8), np.searchsorted(keys, coders)
    restart = int.from_bytes(found.get((_DRI, 0), b"")[:2], "big")
    done, symbols, starts, counts = _decode(source, position, lookup, short, coders, channels, total, restart, interval)
    if done < total:
        raise ValueError(f"damaged or cut off at MCU {done} of {total}")
    if counts[1::2, _NOT_BASELINE].any():
        raise ValueError("coefficients that no baseline JPEG has")
    codes, lengths, huffman = np.zeros((4, 256), np.int64), np.zeros((4, 256), np.int64), b""
    for table in np.flatnonzero(counts.any(1)):
        huffman += bytes([table % 2 << 4 | table // 2]) + _optimal_code(counts[table], codes[table], lengths[table])
    # A byte FF becomes FF 00; an interval has a byte that is not full, and a marker.
    size = 2 * int((counts * lengths).sum()) // 8 + 4 * len(starts)
    coded, offsets = _encode(symbols, starts, codes.reshape(-1), lengths.reshape(-1), size)
    frame = found[_SOF, 0]
    if len(channels) == 1:
        frame = frame[:7] + b"\x11" + frame[8:]  # sampling factors mean nothing here; so no reader has to know
    wanted = [(_JFIF, 0), (_ADOBE, 0), *((_DQT, number) for number in sorted(set(frame[8::3])))]
    segments = [(key[0], found[key]) for key in wanted if key in found]
    wide = any(marker == _DQT and len(table) > 65 for marker, table in segments)
    scan = frame[5:6] + b"".join(bytes([id, 0x11 if i else 0]) for i, id in enumerate(frame[6::3])) + b"\0\x3f\0"
    segments += [(_SOF + wide, frame), (_DHT, huffman), (_DRI, struct.pack(">H", interval)), (_SOS, scan)]
    header = b"".join(struct.pack(">BBH", 255, kind, len(body) + 2) + body for kind, body in segments)
    return b"\xff\xd8" + header + coded.tobytes(), offsets


def _read_header(data: bytes) -> tuple[_Segments, int]:
    """What stands before the entropy-coded data, and where these begin."""
    if not jpeg.is_jpeg(data):
        raise ValueError("not a JPEG")
    found, position = _Segments(), 2
    while (_SOS, 0) not in found:
        begin = position
        while data[position : position + 1] == b"\xff":  # one, or any number of them
            position += 1
        size = int.from_bytes(data[position + 1 : position + 3], "big")
        body = data[position + 3 : position + 1 + size]
        if position == begin or len(body) != size - 2:
            raise ValueError("damaged or cut off in the header")
        marker, position = data[position], position + 1 + size
        if marker in _REFUSED:
            raise ValueError(_REFUSED[marker])
        while marker in (_DQT, _DHT) and body:
            size = 17 + sum(body[1:17]) if marker == _DHT else 129 if body[0] >> 4 else 65
            if len(body) < size:
                raise ValueError("damaged table")
            found[marker, body[0] if marker == _DHT else body[0] & 15] = body[:size]
            body = body[size:]
        if marker in _KEPT and body.startswith(_KEPT[marker]):
            # For 8 bits SOF1 differs from SOF0 in nothing but its number of tables; JFIF's thumbnail goes.
            found[_SOF if marker == _SOF + 1 else marker, 0] = body[:12] + b"\0\0" if marker == _JFIF else body
        elif marker not in (_DQT, _DHT, _COMMENT) and marker >> 4 != 0xE:
            raise ValueError("damaged header")
    return found, position


def _read_layout(frame: jpeg.Frame, found: _Segments) -> tuple[np.ndarray, np.ndarray, int, int]:
    """For the blocks of an MCU (n,) components and (n, 2) numbers of DC and AC tables; MCUs a row and in all."""
    body, scan, channels = found[_SOF, 0], found[_SOS, 0], frame.components
    checks = {
        "damaged header": len(body) != 6 + 3 * channels,
        "not 8 bits a sample": body[:1] != b"\x08",
        "CMYK": channels == 4,
        f"{channels} components": channels not in (1, 3),
        f"{frame.width}x{frame.height} pixels": frame.width * frame.height > MAX_PIXELS,
        "turned by its EXIF orientation": frame.orientation != 1,
        "several scans": scan[:1] != body[5:6],
    }
    if reasons := [reason for reason, applies in checks.items() if applies]:
        raise ValueError(reasons[0])
    # A scan of one component is one block after the other, whatever its sampling factors.
    factors = np.array([(f >> 4, f & 15) if channels == 3 else (1, 1) for f in body[7::3]])
    blocks, ids = factors.prod(1), body[6::3]
    coders = np.array([(coder >> 4, 16 | coder & 15) for coder in scan[2 : 1 + 2 * channels : 2]])
    if len(scan) != 4 + 2 * channels or scan[1:-3:2] != ids or len(set(ids)) < channels or max(body[8::3]) > 3:
        raise ValueError("damaged header")
    if not 0 < factors.min() <= factors.max() <= 4 or (factors.max(0) % factors).any() or blocks.sum() > 10:
        raise ValueError("sampling factors that decoders refuse")
    if not found.keys() >= {(_DQT, number) for number in body[8::3]} | {(_DHT, key) for key in coders.flat}:
        raise ValueError("a table is missing")
    row = -(-frame.width // frame.mcu_width)
    total = row * -(-frame.height // frame.mcu_height)
    return np.repeat(np.arange(channels), blocks), np.repeat(coders, blocks, 0), row, total


def _lookup(table: bytes) -> np.ndarray:
    """(65536,) uint16 array of length << 8 | symbol for the code that 16 bits begin with, 0 where none does."""
    lengths = np.repeat(np.arange(1, 17), list(table[1:17]))
    spans = 1 << (16 - lengths)
    if not 0 < spans.sum() <= 65535:  # none, more than there are codes, or the one that is all ones, which is reserved
        raise ValueError("damaged table")
    entries = np.repeat((lengths << 8 | list(table[17:])).astype(np.uint16), spans)
    return np.pad(entries, (0, 65536 - len(entries)))


def _optimal_code(counts: np.ndarray, codes: np.ndarray, lengths: np.ndarray) -> bytes:
    """Sets (256,) codes and lengths, with room for the bits that follow, for counts of symbols; returns DHT's rest."""
    symbols = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    # A further symbol, the rarest of all, takes the reserved code (the standard's K.2).
    bits = _code_lengths(np.append(counts[symbols], 0)[::-1].copy())[:0:-1]
    spans = 1 << (16 - bits)
    codes[symbols] = (np.cumsum(spans) - spans) >> (16 - bits) << _SIZE[symbols]
    lengths[symbols] = bits + _SIZE[symbols]
    return bytes(np.bincount(bits, minlength=17)[1:].tolist() + symbols.tolist())


def _compiled(function: Callable) -> Callable:
    """Compiles at the first call; keeps the result on the disk, if the package's or the user's cache can be written."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_compiled
def _decode(
    data: np.ndarray, position: int, lookup: np.ndarray, short: np.ndarray, coders: np.ndarray, channels: np.ndarray,
    mcus: int, restart: int, interval: int,
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Reads the symbols, with the DC coefficients predicted anew in each interval.

    Numba checks no index: position is compared before each use, those into lookup and short have 16 and 9 bits, and
    symbols cannot overflow, as each takes a bit of data and a block has at most 64.

    Args:
      data: (n,) uint8 array, the file; position: where its entropy-coded data begins.
      lookup, short: (tables, 65536) and (tables, 512) uint16 arrays, see `transcode`.
      coders, channels: (blocks, 2) rows of lookup for DC and AC, and (blocks,) components, of an MCU's blocks.
      mcus, restart, interval: MCUs in all, between the markers in data (0: there are none), and between the new ones.

    Returns:
      How many MCUs are right; symbols, as table << 24 | symbol << 16 | the bits that follow, where table is 0 for DC,
      1 for AC, and 2, 3 for those of colour; where intervals begin in them, and the end; (4, 256) counts of symbols.
    """
    symbols = np.empty(min(8 * (len(data) - position), 64 * mcus * len(channels)), np.uint32)
    starts, counts = np.zeros(mcus // interval + 1, np.int64), np.zeros((4, 256), np.int64)
    levels, bases = np.zeros(3, np.int64), np.zeros(3, np.int64)
    buffer = bits = borrowed = count = 0  # borrowed: bits at the buffer's end that are not in the data
    for mcu in range(mcus):
        if mcu % interval == 0:
            starts[mcu // interval] = count
            bases[:] = 0
        for block in range(len(channels)):
            channel, coefficient = channels[block], 0
            while coefficient < 64:
                if bits < 32:  # a symbol and what follows it have 31 at most
                    while bits <= 56:
                        buffer, bits, behind = buffer << 8, bits + 8, position + 1
                        if behind < len(data) and data[position] == 255:  # a marker, unless 00 follows
                            behind = behind + 1 if data[behind] == 0 else len(data)
                        if borrowed or behind >= len(data):  # no file ends with its coded data
                            borrowed += 8
                        else:
                            buffer |= int(data[position])
                            position = behind
                code = buffer >> (bits - 16) & 0xFFFF
                table = (2 if channel else 0) | (1 if coefficient else 0)
                coder = coders[block, table & 1]
                entry = int(short[coder, code >> 7] or lookup[coder, code])
                symbol, size = entry & 255, entry & 15
                bits -= (entry >> 8) + size
                extra = buffer >> bits & ((1 << size) - 1)
                damaged = entry == 0 or bits < borrowed
                if coefficient:
                    # zeros and a coefficient, 16 zeros, or zeros up to the end
                    coefficient += (symbol >> 4) + 1 if size else 16 if symbol == 0xF0 else 64 - coefficient
                    damaged |= coefficient > 64
                else:
                    coefficient = 1
                    levels[channel] += extra if 2 * extra >= 1 << size else extra + 1 - (1 << size)
                    change = levels[channel] - bases[channel]
                    bases[channel] = levels[channel]
                    damaged |= symbol > 15 or abs(change) > 2047
                    symbol = 0
                    while abs(change) >> symbol:
                        symbol += 1
                    extra = change if change >= 0 else change + (1 << symbol) - 1
                if damaged:
                    return mcu, symbols, starts, counts
                symbols[count] = table << 24 | symbol << 16 | extra
                counts[table, symbol] += 1
                count += 1
        last = mcu + 1 == mcus
        if last or (restart and (mcu + 1) % restart == 0):
            ahead = position
            while ahead < len(data) and data[ahead] == 255:
                ahead += 1
            marker = 0xD9 if last else 0xD0 + mcu // restart % 8
            if bits - borrowed >= 8 or ahead == position or ahead == len(data) or data[ahead] != marker:
                return mcu, symbols, starts, counts
            position = ahead + 1
            bits = borrowed = 0
            levels[:] = 0
    starts[-1] = count
    return mcus, symbols, starts, counts


@_compiled
def _code_lengths(weights: np.ndarray) -> np.ndarray:
    """Lengths, at most 16 bits, of an optimal code for (n,) ascending weights, by package-merge (Larmore 1990)."""
    n, size = len(weights), 0
    items, leaves = np.zeros((17, 2 * n), np.int64), np.zeros((17, 2 * n), np.bool_)
    for level in range(1, 17):  # a level's items: the weights, and the sums of pairs of the last level's items
        leaf, pair, pairs = 0, 0, size // 2
        size = n + pairs
        for i in range(size):
            package = items[level - 1, 2 * pair] + items[level - 1, 2 * pair + 1]
            if pair == pairs or (leaf < n and weights[leaf] <= package):
                items[level, i], leaves[level, i], leaf = weights[leaf], True, leaf + 1
            else:
                items[level, i], pair = package, pair + 1
    lengths, taken = np.zeros(n, np.int64), 2 * n - 2
    for level in range(16, 0, -1):
        chosen = int(leaves[level, :taken].sum())
        lengths[:chosen] += 1
        taken = 2 * (taken - chosen)
    return lengths


@_compiled
def _encode(
    symbols: np.ndarray, starts: np.ndarray, codes: np.ndarray, lengths: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """At most so many bytes of entropy-coded data, and its offsets; codes and lengths are by table << 8 | symbol."""
    coded, offsets = np.empty(most, np.uint8), np.zeros(len(starts), np.uint32)
    buffer = bits = end = 0
    for interval in range(len(starts) - 1):
        for i in range(starts[interval], starts[interval + 1]):
            symbol = int(symbols[i])
            length = lengths[symbol >> 16]
            buffer = buffer << length | codes[symbol >> 16] | symbol & 0xFFFF
            bits += length
            if i + 1 == starts[interval + 1]:  # ones up to a whole byte
                buffer = ((buffer + 1) << (-bits % 8)) - 1
                bits += -bits % 8
            while bits >= 8:
                bits -= 8
                coded[end] = buffer >> bits & 255
                end += 1
                if coded[end - 1] == 255:
                    coded[end] = 0
                    end += 1
        coded[end] = 255
        coded[end + 1] = 0xD9 if interval == len(starts) - 2 else 0xD0 + interval % 8
        end += 2
        offsets[interval + 1] = end
    return coded[:end], offsets
