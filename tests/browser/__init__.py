"""The page in a real browser: Chromium, driven by Playwright, beside a server of its own."""
