"""Where models are found, and whether they will run: sources, GGUF headers, fit.

The flow: source → headers → fit. Nothing here knows a tracker or a widget.
"""
