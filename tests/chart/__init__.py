"""Is the chart what the design says: rendered, installed, guarded, upgraded and removed?"""
