"""Scripts as other processes see them: which callbacks exist, how to call them, what they answer."""
