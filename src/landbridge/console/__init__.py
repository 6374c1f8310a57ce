"""The console: the service's pages for people.

Server-rendered, over the same actions as the API: whatever a page shows or does is a call of
the action table, as the account that has signed in, in the same audit trail.

`app` puts the pages together and guards them, `visit` is one request to a page, `forms` are the
forms of actions, `live` keeps a page up to date, `pages/` has one module for each part.
"""
