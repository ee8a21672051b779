"""How actors are reached from other processes: a Unix-domain socket of the core, blocking clients elsewhere."""
