"""Samples that only grow: the bytes of every event type ever written."""
