"""Prints what scapy reads in every n-th frame of a capture, one JSON object a line.

Arguments: the capture, n, and how many frames the capture is read for. The keys are those of
the fields that Weir's test compares.
"""

import json
import logging
import signal
import sys

logging.getLogger("scapy").setLevel(logging.CRITICAL)

from scapy.contrib.gtp import GTPHeader, GTPPDUSessionContainer  # noqa: E402
from scapy.contrib.pfcp import PFCP  # noqa: E402
from scapy.contrib import mpls  # noqa: E402,F401
from scapy.layers import vxlan  # noqa: E402,F401
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import AH  # noqa: E402
from scapy.layers.l2 import CookedLinux, Ether  # noqa: E402
from scapy.layers.sctp import SCTP  # noqa: E402
from scapy.utils import RawPcapNgReader, RawPcapReader  # noqa: E402

# How long a frame may take.
SECONDS = 2

LINKS = {1: Ether, 12: IP, 101: IP, 113: CookedLinux, 228: IP, 229: IPv6}


class NotRead(Exception):
    """Elements that scapy gives as bytes: it reads no message that is cut."""


def elements(ies, types):
    for ie in ies:
        if "ietype" not in ie.fields:
            raise NotRead
        types.append(ie.ietype)
        elements(ie.getfieldval("IE_list") if "IE_list" in ie.fields else [], types)
    return types


def ends(packet, prefix, reading):
    reading[prefix + "src"] = packet.src
    reading[prefix + "dst"] = packet.dst
    protocol = packet.proto if isinstance(packet, IP) else packet.nh
    while type(packet.payload).__name__.startswith("IPv6ExtHdr"):
        packet = packet.payload
        protocol = packet.nh
    reading[prefix + "proto"] = protocol
    while isinstance(packet.payload, AH):
        packet = packet.payload
    if isinstance(packet.payload, (UDP, TCP, SCTP)):
        reading[prefix + "sport"] = packet.payload.sport
        reading[prefix + "dport"] = packet.payload.dport


def gtpu(message, reading):
    reading["gtpu.type"] = message.gtp_type
    reading["gtpu.teid"] = message.teid
    reading["gtpu.length"] = message.length
    if message.S:
        reading["gtpu.seq"] = message.seq
    if message.PN:
        reading["gtpu.npdu"] = message.npdu
    container = message.payload
    packet = container
    if isinstance(container, GTPPDUSessionContainer):
        if container.NextExtHdr == 0:
            reading["gtpu.ext.type"] = 133
            reading["gtpu.ext.len"] = container.ExtHdrLen * 4
        reading["gtpu.ext.pdu_type"] = container.type
        reading["gtpu.ext.qfi"] = container.QFI
        reading["gtpu.ext.qmp"] = bool(container.QMP)
        reading["gtpu.ext.snp"] = bool(container.SNP)
        if container.type == 0:
            reading["gtpu.ext.rqi"] = bool(container.RQI)
            reading["gtpu.ext.ppp"] = bool(container.PPP)
            if container.PPP:
                reading["gtpu.ext.ppi"] = container.PPI
        packet = container.payload
    if isinstance(packet, (IP, IPv6)):
        ends(packet, "inner.", reading)


def pfcp(message, reading):
    reading["pfcp.type"] = message.message_type
    if message.S:
        reading["pfcp.seid"] = hex(message.seid)
    reading["pfcp.seq"] = message.seq
    reading["pfcp.length"] = message.length
    try:
        types = elements(message.payload.fields.get("IE_list", []), [])
    except NotRead:
        types = []
    if types:
        reading["pfcp.ie"] = ",".join(map(str, types))


def outside_of_quotes(packet):
    """The layers down to an ICMP header."""
    while packet:
        if isinstance(packet, ICMP) or packet.name.startswith("ICMPv6"):
            return
        yield packet
        packet = packet.payload


def read(packet):
    reading = {"carries": "neither"}
    versions = []
    ip = None
    tunnel = False
    for layer in outside_of_quotes(packet):
        if isinstance(layer, (IP, IPv6)):
            ip = layer
        if not tunnel and is_gtpu(layer):
            tunnel = True
            reading["carries"] = "gtpu"
            ends(ip, "outer.", reading)
            gtpu(layer, reading)
        elif isinstance(layer, PFCP):
            versions.append(layer.version)
            if not tunnel:
                reading["carries"] = "pfcp"
                ends(ip, "outer.", reading)
            pfcp(layer, reading)
            break
    reading = {key: str(value) for key, value in reading.items()}
    layers = ":".join(layer.__name__ for layer in packet.layers())
    return {"layers": layers, "versions": versions, "reading": reading}


def is_gtpu(layer):
    return isinstance(layer, GTPHeader) and layer.version == 1 and layer.PT and 2152 in ports(layer.underlayer)


class GaveUp(BaseException):
    """The time is over. No Exception, since scapy passes those over."""


def read_in_time(link, data):
    """Some messages it reads without end."""
    signal.alarm(SECONDS)
    try:
        return read(link(data))
    except GaveUp:
        return {"layers": "gave up", "versions": [], "reading": {}}
    finally:
        signal.alarm(0)


def give_up(*_):
    raise GaveUp


def ports(udp):
    return (udp.sport, udp.dport) if isinstance(udp, UDP) else ()


def main(path, step, most):
    signal.signal(signal.SIGALRM, give_up)
    capture = RawPcapReader(path)
    for n, (data, meta) in enumerate(capture):
        if n >= most:
            break
        if n % step:
            continue
        link = meta.linktype if isinstance(capture, RawPcapNgReader) else capture.linktype
        if link not in LINKS:
            continue
        print(json.dumps({"n": n} | read_in_time(LINKS[link], data)))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
