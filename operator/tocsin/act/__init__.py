"""What is done: statuses, containment, notices; it only writes."""
