"""Reads a dashboard into Grafana's published types (grafana-foundation-sdk) and writes it again; says what is not the same.

The types cover dashboards, panels, the options of each kind of panel and Prometheus' queries. They take what they know and
drop the rest, so that whatever is missing afterwards is nothing that Grafana would heed.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, path):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


register_default_plugins()
with open(sys.argv[1]) as file:
    before = json.load(file)
after = json.loads(JSONEncoder().encode(Dashboard.from_json(before)))
for complaint in lost(before, after, ""):
    print(complaint)
