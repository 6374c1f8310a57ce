"""What a PostgreSQL server says about itself, as frozen dataclasses, on majors 10 to 18.

Everything here works with an account that has LOGIN and pg_monitor; whatever is
refused becomes None, with the server's reason in `SourceFacts.unseen`.
"""
