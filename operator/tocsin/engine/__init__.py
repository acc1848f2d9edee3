"""What runs the loop: queue, schedule, rounds and the leader's lease."""
