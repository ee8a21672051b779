"""Viewers and pages in a real browser, served by the server that they ask."""
