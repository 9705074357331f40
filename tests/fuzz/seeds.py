"""Writes seed inputs for the targets: from captures (little-endian pcap), and for `policy` from the
configuration files and tests of the repository. seeds.py CAPTURE.pcap…"""
import pathlib
import re
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
            "wire": bytes([number % 8]) + frame[42:],
            "passes": b"\2" + struct.pack(
                "<IHHIIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1, 1, 0, len(frame), len(frame)
            ) + frame,
        }.items():
            folder = here / "corpus" / target
            folder.mkdir(parents=True, exist_ok=True)
            (folder / stem).write_bytes(seed)
    # All N4 of a capture, datagram by datagram, as from the first node to the second and back.
    talk = b""
    for frame in frames(path):
        is_pfcp = len(frame) > 58 and frame[12:14] == b"\x08\x00" and frame[23] == 17
        ports = struct.unpack_from(">HH", frame, 34) if is_pfcp else ()
        if 8805 in ports:
            payload = frame[42:1066]
            down = payload[1] % 2 == (0 if payload[1] >= 50 else 1)
            talk += bytes([0x44 if down else 0x41]) + struct.pack(">H", len(payload)) + payload
    folder = here / "corpus" / "signalling"
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, min(len(talk), 1 << 18), 1 << 13):
        (folder / f"{path.parent.name}-{start}").write_bytes(talk[start : start + (1 << 13)])
    folder = here / "corpus" / "capture"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.parent.name).write_bytes(b"\7" + path.read_bytes()[:20_000])

folder = here / "corpus" / "policy"
folder.mkdir(parents=True, exist_ok=True)
root = here.parent.parent
crate = root / "control" / "policy"
configuration = [(crate / "examples" / "weir.toml").read_text()]
inventories, policies = [], []
for pair in crate / "examples", root / "pcaps" / "captures" / "small":
    inventories.append((pair / "inventory.toml").read_text())
    policies.append((pair / "policy.toml").read_text())
for source in sorted([*crate.glob("src/**/*.rs"), *crate.glob("tests/*.rs")]):
    for text in re.findall(r'r#"(.*?)"#', source.read_text(), re.DOTALL):
        (inventories if "[[equipment]]" in text else policies).append(text)
        configuration.append(text)
    for text in re.findall(r'"((?:[^"\\]|\\.)*\\n(?:[^"\\]|\\.)*)"', source.read_text()):
        policies.append(text.encode().decode("unicode_escape"))
        configuration.append(policies[-1])
for number, text in enumerate(configuration):
    (folder / f"weir-{number}").write_text(text)
for number, text in enumerate(inventories):
    (folder / f"inventory-{number}").write_text(text + "\0" + policies[0])
for number, text in enumerate(policies):
    (folder / f"policy-{number}").write_text("\0" + text)
    (folder / f"pair-{number}").write_text(inventories[0] + "\0" + text)
