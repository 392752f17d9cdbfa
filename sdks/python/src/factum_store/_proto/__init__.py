"""The generated messages of the protocol."""
