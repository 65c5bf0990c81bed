"""Ids of all sorts through the real bridge between Java and Python, by the job's own query, key and conversions."""

import json
import os
import random
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from operators.records.event_decode import key_text
from operators.settings import load_settings
from tests.places import ROOT

JAR = Layout.of(load_settings()).jars / CONNECTOR

LONE = "lone\udcff"  # as an escape in JSON; no text that UTF-8 can write
SURROGATE = re.compile("[\ud800-\udfff]")
POISON = (
    "\ufffe\u00d8",
    "\ufeffu1",
    "u1",
    "\ufffe",
    "\ufeff",
    "\ufffeu1",
    "\ufeff\ufeffu1",
    "u\ufeff1",
    "\uffff",
    "\ufffd",
)
PLAIN = (
    "a",
    "ä",
    "ø\u00e6",
    "\u0000",
    "\u0001",
    "日本語",
    "👍👍🏽",
    "a/b%2F",
    "'; DROP",
    "\u202eevil",
    "ÿþ",
    "\u00ff\u00fe",
    "x" * 128,
)
RAW = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff",
    b"\xed\xb3\xbf",
    b"\xc0\x80",
    b"\xef\xbb\xbfu1",
    b"\xff\xfeu\x001\x00",
    b"\xf4\x90\x80\x80",
)


def many_ids(count: int, seed: int) -> list[bytes]:
    """Random texts from the places that hurt, and random bytes."""
    chance = random.Random(seed)
    alphabet = [*"\ufeff\ufffe\ufffd\u0000\u00fe\u00ff\ud7ff\ue000\uffff", "\U0010ffff", "\U00010000", *"abc"]
    texts = ["".join(chance.choices(alphabet, k=chance.randint(1, 6))).encode() for _ in range(count)]
    return texts + [chance.randbytes(chance.randint(1, 6)) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.usefixtures("jars")
def test_every_id_crosses_as_it_is_and_no_two_share_a_state(tmp_path: Path) -> None:
    ids = dict.fromkeys([*(text.encode() for text in (*POISON, *PLAIN)), *RAW, *many_ids(300, seed=4)])
    users = [f"nokey{text}" for text in map(key_text, ids) if text.isascii() or not SURROGATE.search(text)]
    keys, bodies = tmp_path / "keys", tmp_path / "users"
    keys.write_text("\n".join(b64encode(one).decode() for one in ids))
    bodies.write_text("\n".join(map(json.dumps, [*users, LONE])))
    command = [sys.executable, "-m", "tests.pipelines.job.bridge.ids_through_pemja", str(keys), str(bodies)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    came = {
        (way, keyed): sorted(b64decode(one) for w, one, k in seen if (w, k) == (way, keyed)) for way, _, keyed in seen
    }
    assert came["record", True] == sorted(ids)
    assert came["record", False] == sorted([*(user.encode() for user in users), LONE.encode("utf-8", "replace")])
    # the input ends: the last timers do not fire any more
    assert {*came["timer", True]} <= {*came["record", True], *came["record", False]}
