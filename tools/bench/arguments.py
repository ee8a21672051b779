"""The options of `sinogram bench`, and how they are turned into a plan."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `sinogram bench` and what runs them."""
    parser.set_defaults(run=lambda _: 1)
