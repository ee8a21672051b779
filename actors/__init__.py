"""Who does it. `services` and `core` know each other by `messages`, which travel over `wire`."""
