#!/usr/bin/env python3
"""Writes Weir's four Grafana dashboards: deploy/grafana/generate.py [FOLDER].

Panels stand here once, with their words; what Grafana wants around each of them is below. The JSON is committed, and a test
holds it against this file's output.
"""

import json
import pathlib
import sys

# What every query is narrowed to by the variables at the top.
CHOSEN = 'site=~"$site",instance=~"$instance"'
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = "green", "yellow", "orange", "red", "blue", "purple"
SEVERITIES = {"critical": PURPLE, "high": RED, "medium": ORANGE, "low": YELLOW, "info": BLUE}
LOST = 'reason=~"missed|no_buffer|ring_full"'
FIRING = 'alertname=~"Weir.+",alertstate="firing",severity=~"critical|high"'
GRAVE = 'severity=~"critical|high"'
UNSEEN = 'reason=~"missed|no_buffer|ring_full|shed"'
HALF_FULL = 'le="0.5"'
CONFLICTING = 'kind="conflicting"'
WHOLE = 'kind="whole"'
DECLARED = 'reason="declared_peer"'
EVIDENCE = 'reason=~"failed|ring"'
REFUSED = 'cause!="request_accepted"'
BESIDE_GPDUS = 'message!="g_pdu"'
WINDOW = "[$__rate_interval]"
RANGE = "[$__range]"


def series(metric, more="", window=""):
    """A metric of the chosen instances."""
    return metric + "{" + CHOSEN + ("," + more if more else "") + "}" + window


def rate(metric, more=""):
    return f"rate({series(metric, more, WINDOW)})"


def growth(metric, more="", window=RANGE):
    return f"increase({series(metric, more, window)})"


def steps(first, *more):
    """Thresholds: a colour, then values from which others begin."""
    rest = [{"color": color, "value": value} for value, color in more]
    return {"mode": "absolute", "steps": [{"color": first, "value": None}, *rest]}


DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def target(index, query):
    expr, legend = query[:2]
    kind = query[2] if len(query) > 2 else "range"
    found = {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "instant": kind in ("instant", "table"),
        "legendFormat": legend,
        "range": kind not in ("instant", "table"),
        "refId": chr(ord("A") + index),
    }
    if kind in ("table", "heatmap"):
        found["format"] = kind
    return found


def panel(kind, title, description, unit, queries, options, width, height, custom=None, **defaults):
    overrides = defaults.pop("overrides", [])
    transformations = defaults.pop("transformations", None)
    defaults = {"color": {"mode": "palette-classic"}, "unit": unit, **defaults}
    if custom:
        defaults["custom"] = custom
    made = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "targets": [target(index, query) for index, query in enumerate(queries)],
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
    }
    if transformations:
        made["transformations"] = transformations
    return made


def stat(title, description, unit, expr, thresholds, width=3, legend="", graph="none", text="value", **defaults):
    """One figure; its colour says whether all is well."""
    options = {
        "colorMode": "value" if thresholds["steps"][1:] else "none",
        "graphMode": graph,
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": text,
    }
    query = (expr, legend, "instant" if graph == "none" else "range")
    defaults.setdefault("decimals", 0)
    return panel(
        "stat", title, description, unit, [query], options, width, 3,
        color={"mode": "thresholds"}, thresholds=thresholds, **defaults,
    )


def lines(title, description, unit, queries, width, height=6, stacked=False, bars=False, limit=None, table=False, **defaults):
    """Lines over time, stacked where they are parts of a whole, with bars for what happens now and then."""
    custom = {
        "axisSoftMin": 0,
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 70 if bars else (25 if stacked else 8),
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    if limit is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
        defaults["thresholds"] = steps("transparent", (limit, RED))
    legend = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
    if table:
        legend |= {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "right"}
    tooltip = {"mode": "multi", "sort": "desc"}
    return panel(
        "timeseries", title, description, unit, queries, {"legend": legend, "tooltip": tooltip},
        width, height, custom, **defaults,
    )


def heat(title, description, unit, expr, width, height=6):
    """A histogram over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False, "scale": "exponential",
                  "scheme": "Oranges", "steps": 64},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": False},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    return panel("heatmap", title, description, "short", [(expr, "{{le}}", "heatmap")], options, width, height)


def table(title, description, queries, transformations, width, height=6, sort=None, **defaults):
    options = {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
        "showHeader": True,
    }
    if sort:
        options["sortBy"] = [{"desc": True, "displayName": sort}]
    return panel(
        "table", title, description, defaults.pop("unit", "short"), [(*query, "table") for query in queries], options,
        width, height, {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
        transformations=transformations, **defaults,
    )


def ranking(title, description, expr, legend, width, height=6):
    """Bars, the longest first."""
    options = {
        "displayMode": "basic",
        "minVizHeight": 14,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    return panel(
        "bargauge", title, description, "short", [(f"sort_desc({expr})", legend, "instant")], options, width, height,
        color={"mode": "thresholds"}, thresholds=steps(BLUE), decimals=0, min=0,
    )


def by_name(pattern, *properties):
    """What is different of the fields whose name fits."""
    made = [{"id": name, "value": value} for name, value in properties]
    return {"matcher": {"id": "byRegexp", "options": f"/^{pattern}$/"}, "properties": made}


def painted(colors):
    return [by_name(name, ("color", {"fixedColor": color, "mode": "fixed"})) for name, color in SEVERITIES.items()]


def variable(name, label, query):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def dashboard(uid, title, description, rows, more_variables=()):
    """Rows of panels, each 24 columns wide, from top to bottom."""
    panels, top = [], 0
    for row in rows:
        assert sum(one["gridPos"]["w"] for one in row) == 24, (title, [one["title"] for one in row])
        left = 0
        for one in row:
            one["gridPos"] = {"h": one["gridPos"]["h"], "w": one["gridPos"]["w"], "x": left, "y": top}
            one["id"] = len(panels) + 1
            left += one["gridPos"]["w"]
            panels.append(one)
        top += max(one["gridPos"]["h"] for one in row)
    source = {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
    }
    chosen = [
        source,
        variable("site", "Site", "label_values(weir_build_info, site)"),
        variable("instance", "Instance", 'label_values(weir_build_info{site=~"$site"}, instance)'),
        *more_variables,
    ]
    restarts = {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": f"changes({series('weir_sensor_start_timestamp_seconds', window='[2m]')}) > 0",
        "iconColor": PURPLE,
        "name": "Sensor restarts",
    }
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["weir"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": [restarts]},
        "links": [{
            "asDropdown": False,
            "icon": "dashboard",
            "includeVars": True,
            "keepTime": True,
            "tags": ["weir"],
            "targetBlank": False,
            "title": "",
            "tooltip": "",
            "type": "dashboards",
            "url": "",
        }],
        "templating": {"list": chosen},
        "panels": panels,
    }


def not_inspected(reasons):
    return f"sum({rate('weir_not_inspected_packets_total', reasons)})"


RECEIVED = f"sum({rate('weir_received_packets_total')})"
TRANSACTIONS = 'kind=~"whole|unanswered|unasked"'


def overview():
    per_instance = {"indexByName": {}, "excludeByName": {"Time": True}, "renameByName": {
        "instance": "Instance", "Value #A": "Sensor", "Value #B": "Packets/s", "Value #C": "Not inspected",
        "Value #D": "Busiest worker", "Value #E": "N4 coverage", "Value #F": "Active sessions", "Value #G": "Critical and high"}}
    percent = ("unit", "percentunit"), ("decimals", 2)
    up = [{"type": "value", "options": {"0": {"color": RED, "index": 0, "text": "away"},
                                        "1": {"color": GREEN, "index": 1, "text": "up"}}}]
    return dashboard(
        "weir-overview", "Weir / Overview", "Whether Weir sees everything, and whether it found something.",
        [
            [
                stat("Sensors away", "Instances of weir-control without a living sensor: nothing is inspected there.", "none",
                     f"count({series('weir_sensor_up')} == 0) or vector(0)", steps(GREEN, (1, RED))),
                stat("Rules firing", "Critical and high alerts of weir.rules.yml that fire now. 0 also where the rules are not installed.",
                     "none", f"count({series('ALERTS', FIRING)}) or vector(0)",
                     steps(GREEN, (1, RED))),
                stat("Critical and high", "Alerts of these severities that Weir raised within the time chosen above, restricted ones not included.",
                     "none", f"sum({growth('weir_alerts_total', GRAVE)})", steps(GREEN, (0.5, RED))),
                stat("Packets", "Frames received in a second.", "pps", RECEIVED, steps(BLUE), graph="area", decimals=1),
                stat("Traffic", "Bits received in a second, as on the wire.", "bps",
                     f"8 * sum({rate('weir_received_bytes_total')})", steps(BLUE), graph="area", decimals=1),
                stat("Not inspected", "Share of the received frames that were lost or left out. OPS-BLIND speaks from 0.001 % on.",
                     "percentunit", f"{not_inspected(UNSEEN)} / ({RECEIVED} > 0) or vector(0)",
                     steps(GREEN, (0.00001, ORANGE), (0.001, RED)), decimals=3),
                stat("N4 coverage", "Share of N4's transactions of the last minute seen whole, at the worst instance. Below 90 % sessions are not judged.",
                     "percentunit", f"min({series('weir_n4_coverage_ratio')})", steps(RED, (0.9, YELLOW), (0.98, GREEN)), decimals=1),
                stat("Busiest worker", "Share of the last second that the busiest worker spent on frames.", "percentunit",
                     f"max({series('weir_worker_busy_ratio')})", steps(GREEN, (0.8, YELLOW), (0.95, RED))),
            ],
            [
                lines("Packets by what became of them", "Every received frame is in one of these: inspected, lost at the port or in a ring, left out in "
                      "overload, damaged, or of no tap.", "pps",
                      [(f"sum({rate('weir_inspected_packets_total')})", "inspected"), (not_inspected(LOST), "lost"),
                       (not_inspected('reason="shed"'), "left out"), (not_inspected('reason="rx_error"'), "damaged"),
                       (not_inspected('reason=~"untapped|link_type"'), "of no tap")], 12, 8, stacked=True,
                      overrides=painted({"inspected": GREEN, "lost": RED, "left out": ORANGE, "damaged": PURPLE, "of no tap": BLUE})),
                lines("New alerts", "Alerts by the severity that they began with. One stands for a detection, an equipment, a peer's network and a UTC "
                      "day: what goes on is not counted again.", "short",
                      [(f"sum by (severity) ({growth('weir_alerts_total', window=WINDOW)})", "{{severity}}")], 12, 8, stacked=True,
                      bars=True, decimals=0, overrides=painted(SEVERITIES)),
            ],
            [
                table("Instances", "The figures of each instance now; alerts within the time chosen above.",
                      [(f"max by (instance) ({series('weir_sensor_up')})", ""),
                       (f"sum by (instance) ({rate('weir_received_packets_total')})", ""),
                       (f"sum by (instance) ({rate('weir_not_inspected_packets_total', UNSEEN)}) "
                        f"/ (sum by (instance) ({rate('weir_received_packets_total')}) > 0)", ""),
                       (f"max by (instance) ({series('weir_worker_busy_ratio')})", ""),
                       (f"max by (instance) ({series('weir_n4_coverage_ratio')})", ""),
                       (f"sum by (instance) ({series('weir_sessions_active')})", ""),
                       (f"sum by (instance) ({growth('weir_alerts_total', GRAVE)})", "")],
                      [{"id": "merge", "options": {}}, {"id": "organize", "options": per_instance}], 12, 8, decimals=0,
                      overrides=[by_name("Sensor", ("mappings", up), ("custom.cellOptions", {"type": "color-text"})),
                                 by_name("Packets.s", ("unit", "pps")),
                                 by_name("(Not inspected|Busiest worker|N4 coverage)", *percent)]),
                ranking("Detections", "Alerts of all severities by detection, within the time chosen above; the ten most frequent.",
                        f"topk(10, sum by (detection) ({growth('weir_alerts_total')}))", "{{detection}}", 6, 8),
                lines("Sessions", "PFCP sessions that are agreed, and tunnels of all sessions.", "short",
                      [(f"sum({series('weir_sessions_active')})", "sessions"), (f"sum({series('weir_tunnels')})", "tunnels")], 6, 8,
                      decimals=0),
            ],
        ],
    )


def health():
    busy = " or ".join(
        f'label_replace({series(f"weir_{kind}_busy_ratio")}, "thread", "{name} $1", "{label}", "(.*)")'
        for kind, name, label in (("worker", "worker", "worker"), ("receiver", "receive thread", "receiver"))
    )
    more_than_half = (
        f"sum by (instance, worker, ring) ({rate('weir_ring_fill_ratio_count')}) - "
        f"sum by (instance, worker, ring) ({rate('weir_ring_fill_ratio_bucket', HALF_FULL)})"
    )
    rows_given_up = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"table": "Table", "Value": "Rows"}}
    return dashboard(
        "weir-health", "Weir / Sensor health", "What Weir does not see, and why: losses, load, full tables, clocks.",
        [
            [
                stat("Since start", "How long the youngest sensor has run. Flows, sessions and counters begin anew with it.", "s",
                     f"time() - max({series('weir_sensor_start_timestamp_seconds')} > 0)", steps(ORANGE, (900, GREEN)), decimals=1),
                stat("Last heartbeat", "Age of the oldest last sign of life of a sensor.", "s",
                     f"time() - min({series('weir_sensor_heartbeat_timestamp_seconds')} > 0)", steps(GREEN, (5, YELLOW), (30, RED)), decimals=1),
                stat("Packet time behind", "By how much what was judged last is behind this Prometheus' clock, at the worst instance. Of a replay: the age of the capture.",
                     "s", f"time() - min({series('weir_packet_timestamp_seconds')} > 0)", steps(GREEN, (2, YELLOW), (10, RED)), decimals=1),
                stat("Policy", "The version of the policy in force; 0 is none, and nothing is judged.", "none",
                     f"max by (version) ({series('weir_policy_info')})", steps(BLUE), legend="{{version}}", text="name"),
                stat("Events lost", "Events within the time chosen above that are not in the event file, alerts among them perhaps.", "none",
                     f"sum({growth('weir_events_lost_total')})", steps(GREEN, (0.5, RED))),
                stat("Events waiting", "Records that control has not stored yet. 65,536 find room.", "none",
                     f"max({series('weir_events_unread')})", steps(GREEN, (16384, ORANGE), (49152, RED))),
                stat("Overloads", "How often, within the time chosen above, a worker began to leave out users' flows.", "none",
                     f"sum({growth('weir_overloads_total')})", steps(GREEN, (0.5, ORANGE))),
                stat("Program", "The version of weir-control.", "none",
                     f"max by (version) ({series('weir_build_info')})", steps(BLUE), legend="{{version}}", text="name"),
            ],
            [
                lines("Not inspected, by reason", "Frames that were received and not inspected. missed, no_buffer, rx_error: the port says so; ring_full: "
                      "behind a receive thread; shed: left out in overload; untapped, link_type: of no tap.", "pps",
                      [(f"sum by (reason) ({rate('weir_not_inspected_packets_total')})", "{{reason}}")], 8, stacked=True),
                lines("Load of threads", "Share of the last second that a thread spent on frames. Near 1 it has no room for a burst.", "percentunit",
                      [(busy, "{{instance}} {{thread}}")], 8, limit=0.95, max=1, min=0),
                lines("Left out in overload", "Share of users' flows that a worker leaves out just now. N4 and what equipment itself sends are never left out.",
                      "percentunit", [(f"max by (instance, worker) ({series('weir_shed_ratio')})", "{{instance}} worker {{worker}}")], 8),
            ],
            [
                heat("Frames per poll", "How many frames a worker's poll brought. All of them at 64: it does not come to the end of its queue.", "none",
                     f"sum by (le) ({growth('weir_burst_packets_bucket', window=WINDOW)})", 8),
                lines("Rings more than half full", "Polls a second that found a ring between receive threads and workers more than half full. More than none: "
                      "a burst would lose frames. 0 without receive threads.", "cps",
                      [(more_than_half, "{{instance}} worker {{worker}}, {{ring}}")], 8),
                table("Rows given up", "By bounded table, within the time chosen above. A table that grows full has been outgrown, or somebody fills it.",
                      [(f"sum by (table) ({growth('weir_table_evictions_total')})", "")],
                      [{"id": "organize", "options": rows_given_up}], 8, sort="Rows", decimals=0,
                      overrides=[by_name("Rows", ("custom.cellOptions", {"type": "color-text"}), ("color", {"mode": "thresholds"}),
                                         ("thresholds", steps("text", (0.5, ORANGE))))]),
            ],
            [
                lines("Headers that can't be decoded", "By layer; their frames are inspected as far as possible.", "cps",
                      [(f"sum by (layer) ({rate('weir_decode_errors_total')})", "{{layer}}")], 8, stacked=True),
                lines("Fragments", "Fragments by what became of them. unknown: their first one was not seen; evicted: forgotten for lack of room.", "cps",
                      [(f"sum by (kind) ({rate('weir_fragments_total')})", "{{kind}}")], 8),
                lines("Sights given up", "Sightings that found no room in a report, backward steps of packet time, fragments whose contents conflict, N4 "
                      "datagrams dropped, evidence that could not be written or passed on. All should be 0.", "short",
                      [(f"sum({growth('weir_sightings_unreported_total', window=WINDOW)})", "sightings unreported"),
                       (f"sum({growth('weir_clock_steps_total', window=WINDOW)})", "clock steps"),
                       (f"sum({growth('weir_reassembly_total', CONFLICTING, WINDOW)})", "conflicting fragments"),
                       (f"sum({growth('weir_n4_dropped_datagrams_total', window=WINDOW)})", "N4 dropped"),
                       (f"sum({growth('weir_evidence_lost_total', EVIDENCE, WINDOW)})", "evidence lost")], 8, bars=True, decimals=0),
            ],
        ],
    )


def detections():
    chosen = 'detection=~"$detection"'
    matrix = {"columnField": "severity", "rowField": "detection", "valueField": "Value", "emptyValue": "zero"}
    order = {"indexByName": {"detection\\severity": 0, "critical": 1, "high": 2, "medium": 3, "low": 4, "info": 5}, "excludeByName": {},
             "renameByName": {"detection\\severity": "Detection"}}
    of_severity = {severity: f',severity="{severity}"' for severity in SEVERITIES}
    said = {
        "critical": "At once: somebody forges, copies or steals.", "high": "Today: equipment does what nobody allowed.",
        "medium": "This week: suspicious, with benign causes.", "low": "To be looked at with others.",
        "info": "To be known, no threat by itself; OPS-BLIND is among them.",
    }
    return dashboard(
        "weir-detections", "Weir / Detections", "What Weir found. Who, towards whom and of which vendor stands in its events: metrics name nobody. "
        "Restricted detections have no metrics.",
        [
            [
                *(stat(severity.capitalize(), f"Alerts that began as {severity}, within the time chosen above. {said[severity]}", "none",
                       f"sum({growth('weir_alerts_total', chosen + of_severity[severity])})",
                       steps(GREEN if severity in ("critical", "high", "medium") else BLUE, (0.5, color)), width=4)
                  for severity, color in SEVERITIES.items()),
                stat("Suppressed", "Alerts that the policy or a person's suppression silences, within the time chosen above.", "none",
                     f"sum({growth('weir_alerts_suppressed_total', chosen)})", steps(BLUE), width=4),
            ],
            [
                lines("New alerts by severity", "When alerts began. One stands for a detection, an equipment, a peer's network and a UTC day; at midnight "
                      "(UTC) what goes on begins a new one.", "short",
                      [(f"sum by (severity) ({growth('weir_alerts_total', chosen, WINDOW)})", "{{severity}}")], 12, stacked=True, bars=True,
                      decimals=0, overrides=painted(SEVERITIES)),
                lines("New alerts by detection", "The same by detection.", "short",
                      [(f"sum by (detection) ({growth('weir_alerts_total', chosen, WINDOW)})", "{{detection}}")], 12, stacked=True, bars=True,
                      decimals=0, table=True),
            ],
            [
                table("Alerts since the sensors' start", "All alerts by detection and the severity that they began with, since each sensor started.",
                      [(f"sum by (detection, severity) ({series('weir_alerts_total', chosen)})", "")],
                      [{"id": "groupingToMatrix", "options": matrix}, {"id": "organize", "options": order}], 10, sort="critical", decimals=0,
                      overrides=[by_name(severity, ("custom.cellOptions", {"type": "color-text"}), ("color", {"mode": "thresholds"}),
                                         ("thresholds", steps("text", (1, color)))) for severity, color in SEVERITIES.items()]),
                lines("Suppressed by detection", "Alerts that the policy or a person's suppression silences, when they began. A surge may hide what the suppression was not written for.", "short",
                      [(f"sum by (detection) ({growth('weir_alerts_suppressed_total', chosen, WINDOW)})", "{{detection}}")], 7, bars=True,
                      stacked=True, decimals=0),
                lines("Alerts of the day", "Alerts whose day is not over, and observations folded into them a second.", "short",
                      [(f"sum({series('weir_alerts')})", "alerts"), (f"sum({rate('weir_alerts_folded_total')})", "folded a second")], 7,
                      overrides=[by_name("folded.*", ("unit", "cps"), ("custom.axisPlacement", "right"))]),
            ],
            [
                heat("Time to an alert", "From the frame's arrival to the alert's record, on live taps. The aim is 50 ms.", "s",
                     f"sum by (le) ({growth('weir_detection_latency_seconds_bucket', window=WINDOW)})", 8),
                lines("Packets chosen for proof", "What the packets chosen for proof turned out to be. copied: where their session does not lead; "
                      "not_covered: N4 does not tell enough.", "pps",
                      [(f"sum by (kind) ({rate('weir_proof_packets_total')})", "{{kind}}")], 8),
                lines("Balance of UPFs", "Windows of a UPF's directions by what CNS-BALANCE could say. degraded: lines lost too much; not_covered: a side is "
                      "not tapped whole.", "short",
                      [(f"sum by (status) ({growth('weir_balance_windows_total', window=WINDOW)})", "{{status}}")], 8, bars=True, stacked=True,
                      decimals=0, overrides=painted({"judged": GREEN, "degraded": ORANGE, "not_covered": RED})),
            ],
        ],
        [variable("detection", "Detection", f"label_values({series('weir_alerts_total')}, detection)")],
    )


def sessions():
    state = {"active": GREEN, "pending": BLUE, "partial": YELLOW, "stale": ORANGE}
    coverage = f"sum({rate('weir_n4_transactions_total', WHOLE)}) / (sum({rate('weir_n4_transactions_total', TRANSACTIONS)}) > 0)"
    return dashboard(
        "weir-sessions", "Weir / Sessions and N4", "What SMF and UPF agree on, and how much of it Weir sees.",
        [
            [
                stat("Active", "Sessions that are agreed.", "short", f"sum({series('weir_sessions_active')})", steps(BLUE), graph="area"),
                stat("Pending", "Sessions that are asked for and not answered.", "short", f"sum({series('weir_sessions_pending')})", steps(BLUE)),
                stat("Partial", "Sessions that are known by an answer alone: Weir came later, or the request was lost.", "short",
                     f"sum({series('weir_sessions_partial')})", steps(BLUE)),
                stat("Stale", "Sessions whose node restarted or whose association ended: they may be gone.", "short",
                     f"sum({series('weir_sessions_stale')})", steps(BLUE)),
                stat("Tunnels", "Tunnels of sessions in the table.", "short", f"sum({series('weir_tunnels')})", steps(BLUE), graph="area"),
                stat("N4 coverage", "Share of N4's transactions of the last minute seen whole, at the worst instance. Below 90 % sessions are not judged.",
                     "percentunit", f"min({series('weir_n4_coverage_ratio')})", steps(RED, (0.9, YELLOW), (0.98, GREEN)), decimals=1),
                stat("N4 dropped", "N4 datagrams between declared peers that found no room, within the time chosen above.", "none",
                     f"sum({growth('weir_n4_dropped_datagrams_total', DECLARED)})", steps(GREEN, (0.5, RED))),
                stat("Usage mismatches", "Usage reports of UPFs that do not agree with what was seen, within the time chosen above.", "none",
                     f"sum({growth('weir_usage_mismatches_total')})", steps(GREEN, (0.5, ORANGE))),
            ],
            [
                lines("Sessions by state", "All sessions in the table that are not deleted.", "short",
                      [(f"sum({series(f'weir_sessions_{name}')})", name) for name in state], 8, stacked=True, decimals=0,
                      overrides=painted(state)),
                lines("Beginnings and ends", "Sessions agreed and deleted in a second.", "cps",
                      [(f"sum({rate('weir_sessions_established_total')})", "established"),
                       (f"sum({rate('weir_sessions_deleted_total')})", "deleted")], 8),
                lines("G-PDUs by their tunnel", "session: known at once; late: when N4 had caught up; ended: of a session that had ended; unknown: nobody's, or "
                      "N4 is not seen.", "pps",
                      [(f"sum by (kind) ({rate('weir_gpdu_attribution_total')})", "{{kind}}")], 8, stacked=True,
                      overrides=painted({"session": GREEN, "late": BLUE, "ended": YELLOW, "unknown": RED})),
            ],
            [
                lines("N4 seen whole", "Share of the transactions of which request and answer were seen. Below the line sessions are not judged: tap every "
                      "parallel path of N4, in both directions.", "percentunit", [(coverage, "seen whole")], 8, limit=0.9, max=1, min=0),
                lines("N4 transactions", "whole: both halves seen; unanswered, unasked: one half; repeated: came again, which costs nothing.", "cps",
                      [(f"sum by (kind) ({rate('weir_n4_transactions_total')})", "{{kind}}")], 8,
                      overrides=painted({"whole": GREEN, "unanswered": ORANGE, "unasked": YELLOW, "repeated": BLUE})),
                lines("Time to an answer", "99 of 100 answers of UPF and SMF came within this time, by request.", "s",
                      [(f"histogram_quantile(0.99, sum by (le, message) ({rate('weir_pfcp_response_seconds_bucket')}))", "{{message}}")], 8),
            ],
            [
                lines("PFCP messages", "By type, bundled ones each.", "mps",
                      [(f"sum by (message) ({rate('weir_pfcp_messages_total')}) > 0", "{{message}}")], 8),
                lines("Refusals", "PFCP answers by cause, without request_accepted.", "mps",
                      [(f"sum by (cause) ({rate('weir_pfcp_responses_total', REFUSED)})", "{{cause}}")], 8, stacked=True),
                lines("GTP-U messages beside G-PDUs", "Echoes, End Markers, Error Indications and others: many Error Indications say that a node forgot tunnels.",
                      "mps", [(f"sum by (message) ({rate('weir_gtpu_packets_total', BESIDE_GPDUS)})", "{{message}}")], 8),
            ],
        ],
    )


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for made in (overview(), health(), detections(), sessions()):
        path = folder / (made["uid"] + ".json")
        path.write_text(json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
