"""The client for threads. Except for the transport, it is generated from ``_async``."""
