"""The kernel: pure functions and small classes that the job, the tests, the trainer and the storefront share."""

import os

# ONNX Runtime from 1.29 on reports models, hardware and errors to its maker's server, and keeps an id in the home folder,
# unless this is set before it is imported. 0 in the environment lets it
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
