"""What should happen: pure functions of one frozen situation, with the time inside."""
