"""Draws the phones that `tarn transcribe` found over the features that it was given, as an SVG.

    plot_spectrogram OUT.svg PHONES.jsonl FEATURES.safetensors [UTTERANCE]

PHONES.jsonl holds the lines of `tarn transcribe ... --json --features FEATURES.safetensors`;
UTTERANCE is one of them by its "audio", by default the first. Each phone stands at its times over
the mel filterbanks, the darker the surer.
"""
import array
import base64
import json
import pathlib
import struct
import sys
import zlib
from xml.sax.saxutils import escape

SHIFT = 0.01  # seconds from one frame to the next
PER_SECOND = 240  # pixels
BIN = 5  # pixels a filter is high
LEFT, TOP, RIGHT, BOTTOM = 50, 44, 14, 40  # around the picture
# From the least energy to the most; its lightness rises all the way.
COLOURS = ((0, 0, 10), (60, 20, 110), (150, 45, 125), (225, 80, 90), (253, 160, 105), (252, 250, 190))


class Mistake(Exception):
    pass


def line_in(path, utterance):
    """The line of the utterance, or the first one."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    for line in lines:
        if utterance in (None, line["audio"]):
            return line
    raise Mistake(f"{path} holds no {utterance or 'lines'}")


def features_in(path, name):
    """The frames of a tensor f32 [frames, bins] of a safetensors file."""
    content = path.read_bytes()
    header_size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + header_size])
    if name not in header:
        raise Mistake(f"{path} holds no {name}")
    frames, bins = header[name]["shape"]
    begin, end = (8 + header_size + offset for offset in header[name]["data_offsets"])
    values = array.array("f", content[begin:end])
    if sys.byteorder == "big":
        values.byteswap()
    return [values[t * bins:(t + 1) * bins] for t in range(frames)]


def png(rows, palette):
    """Rows of palette indices as a PNG."""
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", bytes(palette)) +
            chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b""))


def palette():
    """256 colours, red, green and blue of each in turn."""
    values = []
    for i in range(256):
        at = i / 255 * (len(COLOURS) - 1)
        low = min(int(at), len(COLOURS) - 2)
        for a, b in zip(COLOURS[low], COLOURS[low + 1]):
            values.append(round(a + (b - a) * (at - low)))
    return values


def spectrogram(frames):
    """Time to the right, high filters on top; the extreme hundredths take the last colours."""
    ordered = sorted(value for frame in frames for value in frame)
    least, most = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    scale = 255 / (most - least) if most > least else 0
    level = lambda value: max(0, min(255, round((value - least) * scale)))
    return [[level(frame[b]) for frame in frames] for b in reversed(range(len(frames[0])))]


def svg(line, frames):
    width, height = len(frames) * SHIFT * PER_SECOND, len(frames[0]) * BIN
    image = base64.b64encode(png(spectrogram(frames), palette())).decode()
    x = lambda seconds: f"{LEFT + seconds * PER_SECOND:.1f}"
    phones = " ".join(phone["phone"] for phone in line["phones"])
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + width + RIGHT:.0f}" '
        f'height="{TOP + height + BOTTOM}" font-family="Helvetica,Arial,sans-serif" '
        'font-size="13" fill="#202020">',
        f'<title>{escape(line["audio"])}: {escape(phones)}</title>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<image x="{LEFT}" y="{TOP}" width="{width:.1f}" height="{height}" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{image}"/>',
    ]
    for i, phone in enumerate(line["phones"]):
        start, end = phone["start"], phone["end"]
        opacity = f'{0.3 + 0.7 * phone["probability"]:.2f}'
        row = TOP - 24 + 14 * (i % 2)  # two rows, since phones may be nearer than their names are wide
        out.append(f'<rect x="{x(start)}" y="{TOP - 5}" width="{(end - start) * PER_SECOND:.1f}" '
                   f'height="5" fill="#0072b2" fill-opacity="{opacity}"/>')
        out.append(f'<path d="M{x((start + end) / 2)} {TOP}v{height}" stroke="#ffffff" '
                   'stroke-width="0.8" stroke-opacity="0.5" stroke-dasharray="2 3"/>')
        out.append(f'<text x="{x((start + end) / 2)}" y="{row}" text-anchor="middle" '
                   f'font-size="11" fill-opacity="{opacity}">{escape(phone["phone"])}</text>')
    for tenth in range(0, int(len(frames) * SHIFT * 10) + 1):
        long = tenth % 5 == 0
        out.append(f'<path d="M{x(tenth / 10)} {TOP + height}v{6 if long else 3}" '
                   'stroke="#606060"/>')
        if long:
            out.append(f'<text x="{x(tenth / 10)}" y="{TOP + height + 19}" '
                       f'text-anchor="middle">{tenth / 10:g}</text>')
    for b in range(0, len(frames[0]) + 1, 10):
        y = TOP + height - b * BIN
        out.append(f'<path d="M{LEFT} {y}h-6" stroke="#606060"/>')
        out.append(f'<text x="{LEFT - 9}" y="{y + 4}" text-anchor="end">{b}</text>')
    out.append(f'<text x="{LEFT + width / 2:.1f}" y="{TOP + height + 36}" '
               'text-anchor="middle">seconds</text>')
    out.append(f'<text transform="translate(14 {TOP + height / 2:.1f}) rotate(-90)" '
               'text-anchor="middle">mel filter</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) not in (4, 5):
        print(__doc__, file=sys.stderr)
        return 2
    out, phones, features = map(pathlib.Path, sys.argv[1:4])
    try:
        line = line_in(phones, sys.argv[4] if len(sys.argv) == 5 else None)
        out.write_text(svg(line, features_in(features, line["audio"])), encoding="utf-8")
    except (Mistake, OSError) as mistake:
        print(f"plot_spectrogram: {mistake}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
