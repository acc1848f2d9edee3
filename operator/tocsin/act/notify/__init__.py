"""How people are told: one module per sender, and the order in which channels are tried."""
