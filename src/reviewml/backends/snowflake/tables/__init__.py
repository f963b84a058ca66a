"""Tables of rows: their types, and how rows get to and from them."""
