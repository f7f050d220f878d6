"""Programs that people run by hand: `make bench`, `chaos`, `systems`, `package`. Not deployed."""
