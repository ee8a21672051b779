"""Decisions by family, each named as the family of its commands: `actors.messages.commands`."""
