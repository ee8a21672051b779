"""QIDO-RS: `matches` answers, `request` reads what is asked, `attributes` says what is told."""
