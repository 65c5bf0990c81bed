"""Bundles: export to ONNX, compression, and the bundle folder."""
