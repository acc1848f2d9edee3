"""kubectl tocsin: decisions by people, and a replay of a policy on recorded series."""
