"""The scheduler's half of the job engine: who does what, when, and how often. Its state is in the log."""
