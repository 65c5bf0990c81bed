"""Prints the operators of the job's graph as JSON: name -> [id in new savepoints, id in those of the job in SQL].

Run by `test_graph.py` in a Flink home with the connector; the arguments are the delivery, and the optional operators.
"""

import json
import sys

from operators.configuration.shop_settings import DemandSettings, FeedbackSettings
from operators.settings import JobSettings, Settings
from pipelines.job.recommend import build


def main(delivery: str, *optional: str) -> None:
    sections = {
        "job": JobSettings(delivery=delivery),
        "feedback": FeedbackSettings(enabled="feedback" in optional),
        "demand": DemandSettings(enabled="demand" in optional),
    }
    settings = Settings().model_copy(update=sections)
    graph = build(settings, "marker")._generate_stream_graph().getJobGraph()
    for vertex in graph.getVertices().toArray():
        for pair in vertex.getOperatorIDs().toArray():
            ids = [pair.getGeneratedOperatorID().toHexString()]
            if pair.getUserDefinedOperatorID().isPresent():
                ids.append(pair.getUserDefinedOperatorID().get().toHexString())
            print(json.dumps([pair.getUserDefinedOperatorName(), vertex.getName(), ids]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
