"""Scripts as everybody but their interpreters sees them: what is defined, how to ask it, what it answers."""
