"""Bundles: export to ONNX, compression, what a bundle folder holds."""
