"""What is: Prometheus' answers, the cluster's objects, the state of targets; it only reads."""
