"""One PostgreSQL server: its programs, its data directory, what it says about itself.

Nothing in here knows of migrations, accounts or networks.
"""
