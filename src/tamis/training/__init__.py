"""Training: a recipe in, a preprocessor with weights, ONNX and model card out. Needs `lab`."""
