"""Servers with an empty log, for test cases that expect one."""

import os
import subprocess
import tempfile

URL = f"http://{os.environ['EVENT_STORE_ADDRESS']}"


def store():
    """Returns an empty store of the backend, or one in memory if the client cannot create it."""
    if os.environ["EVENT_STORE_BACKEND"] == "sqlite":
        return f"sqlite:{tempfile.mkdtemp(dir=os.environ['CLIENT_SCRATCH'])}/events.db"
    return "memory"


class EmptyServer:
    """A server on a free port, until it is stopped."""

    def __init__(self):
        options = os.environ["EVENT_STORE_OPTIONS"].split()
        command = [os.environ["EVENT_STORE_BINARY"], "--store", store(), "--bind-addr", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if "gRPC API on " in line:
                self.url = line.split("gRPC API on ")[1].strip()
                return
        raise RuntimeError("the server did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
