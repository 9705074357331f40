"""Writes seed inputs for the targets from captures: seeds.py CAPTURE.pcap… (little-endian pcap)."""
import pathlib
import struct
import sys


def frames(path):
    data, at = path.read_bytes(), 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16 : at + 16 + length]
        at += 16 + length


here = pathlib.Path(__file__).parent
for name in sys.argv[1:]:
    path = pathlib.Path(name)
    seen = set()
    for number, frame in enumerate(frames(path)):
        shape = (len(frame) // 8, frame[12:24])
        if shape in seen or len(frame) > 400:
            continue
        seen.add(shape)
        stem = f"{path.parent.name}-{number}"
        for target, seed in {
            "frame": b"\0\7" + frame,
            "engine": b"\1" + bytes([1, min(len(frame), 255)]) + frame[:255],
            "wire": bytes([number % 7]) + frame[42:],
        }.items():
            folder = here / "corpus" / target
            folder.mkdir(parents=True, exist_ok=True)
            (folder / stem).write_bytes(seed)
    folder = here / "corpus" / "capture"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.parent.name).write_bytes(b"\7" + path.read_bytes()[:20_000])
