"""What users write and read: one module per kind, every model frozen."""
