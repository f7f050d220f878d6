"""All that both clients share. No I/O: requests go out as data, and answers come in."""
