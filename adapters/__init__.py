"""The edges: job systems over HTTP, Table storage, app settings, the clock."""
