"""What is a real cluster made of, when pods are processes? See cluster.py for the one class that tests use."""
