"""The command line: ``seatrial``."""

from seatrial.api.cli.app import main

__all__ = ["main"]
