"""Do the kinds, as the API server holds them, accept what they should and refuse the rest by name?"""
