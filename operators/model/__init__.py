"""A model bundle and the ONNX session that scores with it."""
