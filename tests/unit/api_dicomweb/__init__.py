"""Tests of the REST API's parts, without disk, network or threads."""
