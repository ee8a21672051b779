"""Requests between actors: plain values that travel between processes, and typed clients that send them.

Both ends of a conversation import this room; neither imports the other.
"""
