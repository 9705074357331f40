"""Reads the PFCP sessions of a capture, independently of Weir: tshark decodes, this follows.

Arguments: the capture, and a moment in nanoseconds since 1970 up to which to read. Prints one JSON
object per session in the order of the first message, with the keys that Weir's test compares.
"""

import datetime
import ipaddress
import json
import subprocess
import sys

SECOND = 10**9
# A request may be sent again for so long; an answer is late after so long, and may come so long
# before its request.
WINDOW = 15 * SECOND
LATE = 3 * SECOND
EARLY = SECOND

# What is later than any capture: then nothing is pending.
END = 1 << 62

SESSION = {50, 52, 54}
ACCESS = 0


def frames(path):
    """Time, ends and messages of every datagram of PFCP that no other packet quotes."""
    shown = ["-T", "json", "-J", "frame ip ipv6 udp pfcp", "--no-duplicate-keys"]
    command = ["tshark", "-n", "-r", path, "-Y", "pfcp && !icmp && !icmpv6 && !gtp", *shown]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    for frame in json.loads(output or b"[]"):
        layers = frame["_source"]["layers"]
        ip = last(layers.get("ip") or layers.get("ipv6"))
        udp = last(layers["udp"])
        ends = [
            (ip.get(f"ip.{way}") or ip.get(f"ipv6.{way}"), int(udp[f"udp.{port}"]))
            for way, port in (("src", "srcport"), ("dst", "dstport"))
        ]
        seconds, fraction = last(layers["frame"])["frame.time_epoch"].split(".")
        time = int(seconds) * SECOND + int(fraction.ljust(9, "0"))
        for message in many(layers["pfcp"]):
            if last(message["pfcp.flags_tree"])["pfcp.version"] == "1":
                yield time, *ends, message


def many(value):
    return value if isinstance(value, list) else [value]


def last(value):
    return many(value)[-1]


def elements(node, kind):
    """The members of a message or grouped element that have this type."""
    found = []
    for value in node.values():
        for one in many(value):
            if isinstance(one, dict) and one.get("pfcp.ie_type") == str(kind):
                found.append(one)
    return found


def element(node, kind):
    return (elements(node, kind) or [{}])[0]


def number(node, key):
    value = node.get(key)
    return None if value is None else int(last(value), 0)


def addresses(node, *keys):
    return [last(node[key]) for key in keys if key in node]


def f_seid(message):
    node = element(message, 57)
    return number(node, "pfcp.seid"), addresses(node, "pfcp.f_seid.ipv4", "pfcp.f_seid.ipv6")


def f_teid(node):
    node = element(node, 21)
    teid = number(node, "pfcp.f_teid.teid")
    places = addresses(node, "pfcp.f_teid.ipv4_addr", "pfcp.f_teid.ipv6_addr")
    return [(teid, place) for place in places] if teid else []


def users(node):
    """UE addresses; of IPv6, the first of the /64."""
    found = []
    for one in elements(node, 93):
        found += addresses(one, "pfcp.ue_ip_addr_ipv4")
        for six in addresses(one, "pfcp.ue_ip_addr_ipv6"):
            found.append(str(ipaddress.ip_network(six + "/64", strict=False).network_address))
    return found


class Session:
    def __init__(self, cp, cp_seid, up, up_seid, state):
        self.cp, self.cp_seid, self.up, self.up_seid = cp, cp_seid, up, up_seid
        self.state = state
        # Whether another has what it had.
        self.gone = False
        self.pdrs, self.points, self.fars, self.sets = {}, {}, {}, set()
        self.modifications = 0
        # Whether a half of a transaction about it was not seen.
        self.unsure = False
        # All addresses by which the two are known, packets' included.
        self.places = {*cp, *up}

    def replace(self):
        self.state, self.gone = "stale", True

    def order(self, message):
        """Takes the rules of a request, or what an answer adds to them."""
        for node in elements(message, 15):
            self.pdrs.pop(number(element(node, 56), "pfcp.pdr_id"), None)
        for node in elements(message, 16):
            self.fars.pop(number(element(node, 108), "pfcp.far_id"), None)
        for node in elements(message, 130):
            self.points.pop(number(element(node, 131), "pfcp.traffic_endpoint_id"), None)
        for kind in (1, 9, 8):
            for node in elements(message, kind):
                self.rule(kind, node)
        for kind in (127, 129, 128):
            for node in elements(message, kind):
                point = number(element(node, 131), "pfcp.traffic_endpoint_id")
                kept = self.points.setdefault(point, {"ends": [], "ue": []})
                kept["ends"] = f_teid(node) or kept["ends"]
                kept["ue"] = users(node) or kept["ue"]
        for kind, parameters in ((3, 4), (10, 11)):
            for node in elements(message, kind):
                far = number(element(node, 108), "pfcp.far_id")
                kept = self.fars.setdefault(far, {"to": [], "interface": None})
                self.forward(kept, element(node, parameters))
        self.sets |= sets(message)

    def rule(self, kind, node):
        pdr = number(element(node, 56), "pfcp.pdr_id")
        if kind == 1:
            self.pdrs.pop(pdr, None)
        kept = self.pdrs.setdefault(pdr, {"ends": [], "ue": [], "point": None, "source": None})
        if kind == 8:
            kept["ends"] = f_teid(node) or kept["ends"]
            kept["ue"] = kept["ue"] or users(node)
            return
        for pdi in elements(node, 2):
            kept["ends"] = f_teid(pdi)
            kept["ue"] = users(pdi)
            kept["point"] = number(element(pdi, 131), "pfcp.traffic_endpoint_id")
            kept["source"] = number(element(pdi, 20), "pfcp.source_interface")

    def forward(self, kept, parameters):
        interface = number(element(parameters, 42), "pfcp.dst_interface")
        kept["interface"] = kept["interface"] if interface is None else interface
        for node in elements(parameters, 84):
            teid = number(node, "pfcp.outer_hdr_creation.teid")
            keys = ("pfcp.outer_hdr_creation.ipv4", "pfcp.outer_hdr_creation.ipv6")
            kept["to"] = [(teid, place) for place in addresses(node, *keys)] if teid else []

    def local_ends(self):
        """F-TEIDs that the UP function gave."""
        rules = [*self.pdrs.values(), *self.points.values()]
        return {end for rule in rules for end in rule["ends"]}

    def line(self):
        uplink, ue = set(), set()
        used = {pdr["point"] for pdr in self.pdrs.values()}
        for pdr in self.pdrs.values():
            point = self.points.get(pdr["point"], {"ends": [], "ue": []})
            ue.update(pdr["ue"] + point["ue"])
            if pdr["source"] in (ACCESS, None):
                uplink.update(pdr["ends"] + point["ends"])
        for name, point in self.points.items():
            if name not in used:
                uplink.update(point["ends"])
                ue.update(point["ue"])
        fars = self.fars.values()
        downlink = {end for far in fars if far["interface"] in (ACCESS, None) for end in far["to"]}
        return {
            "cp_seid": hex(self.cp_seid or 0),
            "up_seid": hex(self.up_seid or 0),
            "state": self.state,
            "ue": sorted(ue - {"::", "0.0.0.0"}),
            "uplink": sorted(uplink),
            "downlink": sorted(downlink),
            "modifications": self.modifications,
            "unsure": self.unsure,
        }


def sets(message):
    found = set()
    for node in elements(message, 65):
        keys = [key for key in node if "csid" in key]
        found.add(json.dumps({key: node[key] for key in sorted(keys)}))
    return found


class Follower:
    def __init__(self):
        self.sessions = []
        self.waiting = {}
        self.answered = {}
        self.early = {}
        self.recovered = {}

    def live(self, wanted):
        """The newest session that has not ended."""
        for session in reversed(self.sessions):
            if session.state != "deleted" and not session.gone and wanted(session):
                return session
        return None

    def at_up(self, place, seid):
        return self.live(lambda s: s.up_seid == seid and place in s.places)

    def take(self, time, source, destination, message):
        kind = int(message["pfcp.msg_type"])
        seid, sequence = number(message, "pfcp.seid"), number(message, "pfcp.seqno")
        self.expire(time)
        is_request = kind % 2 == 1 if kind < 12 else kind % 2 == 0
        if is_request:
            key = (source, destination, sequence, kind)
            bytes_ = json.dumps({k: v for k, v in message.items() if "response" not in k})
            if self.repeats(key, bytes_, time):
                return
            self.ask(key, seid, message, bytes_, time)
            before = self.early.pop(key, None)
            if before:
                self.answer(key, before[1], before[2], time)
        else:
            key = (destination, source, sequence, kind - 1)
            if key in self.waiting:
                self.answer(key, seid, message, time)
            elif key not in self.answered:
                self.early[key] = (time, seid, message)

    def repeats(self, key, bytes_, time):
        for known in (self.waiting.get(key), self.answered.get(key)):
            if known and known["bytes"] == bytes_ and time - known["time"] <= WINDOW:
                return True
        return False

    def ask(self, key, seid, message, bytes_, time):
        session, expected = None, None
        if key[3] == 50:
            expected = f_seid(message)[0]
        elif key[3] in SESSION:
            session = self.at_up(key[1][0], seid)
            if session:
                new, _ = f_seid(message) if element(message, 57) else (None, None)
                expected = {session.cp_seid, new} - {None}
        self.waiting[key] = {
            "bytes": bytes_, "time": time, "message": message, "session": session, "seid": expected,
        }
        if key[3] == 5:
            self.recover(key[0][0], message)

    def answer(self, key, seid, message, time):
        asked = self.waiting[key]
        cause = number(element(message, 19), "pfcp.cause")
        expected = asked["seid"]
        if expected is not None and key[3] in SESSION:
            fits = seid in expected if isinstance(expected, set) else seid == expected
            # An old answer repeated under a new number.
            if not fits and not (seid == 0 and cause != 1):
                return
        self.answered[key] = self.waiting.pop(key)
        if key[3] in (1, 5):
            self.recover(key[1][0], message)
        if cause != 1:
            return
        if key[3] == 50:
            self.establish(key, asked["message"], message)
        elif key[3] == 52 and asked["session"]:
            self.modify(asked["session"], key, asked["message"], message)
        elif key[3] == 54 and asked["session"]:
            asked["session"].state = "deleted"
        elif key[3] == 9:
            self.release(key)
        elif key[3] == 14:
            ended = sets(asked["message"])
            for session in self.sessions:
                if session.sets & ended and not session.gone:
                    session.state = "deleted"

    def establish(self, key, request, response):
        cp_seid, cp = f_seid(request)
        up_seid, up = f_seid(response)
        older = self.live(lambda s: s.cp_seid == cp_seid and set(s.cp) & set(cp))
        if older:
            # A CP F-SEID given again replaces; nobody deleted the older one.
            older.replace()
        session = Session(cp, cp_seid, up, up_seid, "active")
        session.places |= {key[1][0]}
        session.order(request)
        session.order(response)
        self.add(session)

    def add(self, session):
        """A number that the UP function gives again is free: who had it has ended."""
        older = self.live(lambda s: s.up_seid == session.up_seid and set(s.up) & set(session.up))
        if older:
            older.replace()
        ends = session.local_ends()
        for older in self.sessions:
            if older.state in ("stale", "partial") and older.local_ends() & ends:
                older.replace()
        self.sessions.append(session)

    def modify(self, session, key, request, response):
        new, cp = f_seid(request) if element(request, 57) else (None, [])
        if new is not None:
            session.cp_seid, session.cp = new, cp
        session.order(request)
        session.order(response)
        session.modifications += 1
        if session.state == "stale":
            session.state = "active"

    def release(self, key):
        ends = {key[0][0], key[1][0]}
        for session in self.sessions:
            if len(ends & session.places) == 2 and not session.gone:
                session.state = "deleted"

    def recover(self, node, message):
        stamp = element(message, 96).get("pfcp.recovery_time_stamp")
        if stamp is None:
            return
        form = "%b %d, %Y %H:%M:%S.000000000 UTC"
        stamp = datetime.datetime.strptime(" ".join(stamp.split()), form)
        before = self.recovered.setdefault(node, stamp)
        if before < stamp:
            self.recovered[node] = stamp
            for session in self.sessions:
                if session.state in ("active", "partial") and node in session.places:
                    session.state = "stale"

    def expire(self, time):
        for key, asked in list(self.waiting.items()):
            if time - asked["time"] > LATE and asked["session"]:
                asked["session"].unsure = True
            if time - asked["time"] > WINDOW:
                del self.waiting[key]
        for key, asked in list(self.answered.items()):
            if time - asked["time"] > WINDOW:
                del self.answered[key]
        for key, (at, seid, message) in list(self.early.items()):
            if time - at > EARLY:
                del self.early[key]
                self.unasked(key, seid, message)

    def unasked(self, key, seid, message):
        """An answer alone: of an establishment it tells of a session, in part."""
        if key[3] == 50 and number(element(message, 19), "pfcp.cause") == 1:
            up_seid, up = f_seid(message)
            session = Session([key[0][0]], seid, up, up_seid, "partial")
            session.order(message)
            session.unsure = True
            self.add(session)
        elif key[3] in (1, 5):
            self.recover(key[1][0], message)
        elif key[3] in SESSION:
            session = self.live(lambda s: s.cp_seid == seid and key[0][0] in s.places)
            if session:
                session.unsure = True


def main(path, until):
    follower = Follower()
    now = 0
    for time, source, destination, message in frames(path):
        if time > until:
            break
        now = max(now, time)
        follower.take(time, source, destination, message)
    follower.expire(now)
    for session in follower.sessions:
        print(json.dumps(session.line()))
    for (_, _, _, kind), asked in follower.waiting.items():
        if kind == 50 and until < END:
            cp_seid, _ = f_seid(asked["message"])
            print(json.dumps({"cp_seid": hex(cp_seid or 0), "state": "pending"}))


main(sys.argv[1], int(sys.argv[2]))
