"""Chromium without a window, spoken to in its own protocol over two pipes: nothing else is needed."""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")  # fmt: skip


class Page:
    """One page of a fresh browser: ``with Page() as page: page.open(url)``. ``events`` holds all that it said."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        command = [PROGRAM, *QUIET, f"--user-data-dir={self.folder.name}"]
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        quiet = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(ends, (3, 4), strict=True)]
        self.process = os.posix_spawn(PROGRAM, command, os.environ, file_actions=[quiet, *actions])
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self.reader, self.writer = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb")
        self.count, self.rest, self.session, self.events = 0, b"", None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        self.reader.close()
        self.writer.close()
        self.folder.cleanup()

    def ask(self, method, **params):
        """Send one command; its answer."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        self.writer.write(json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.writer.flush()
        return self._until(lambda message: message.get("id") == self.count)["result"]

    def open(self, url):
        """Load a page to the end, and then give it a moment in which it might still ask for something."""
        self.ask("Page.navigate", url=url)
        if not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self._until(lambda message: message.get("method") == "Page.loadEventFired")
        time.sleep(0.1)
        self.value("0")

    def value(self, script):
        """What an expression in the page gives."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def look(self, width, scheme):
        """As wide as that, by day (``"light"``) or by night (``"dark"``)."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def said(self, *methods):
        """The parameters of all events of these kinds."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def _until(self, wanted):
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.reader.fileno(), 1 << 16)
                if not part:
                    raise EOFError("Chromium has gone")
                self.rest += part
            text, _, self.rest = self.rest.partition(b"\0")
            message = json.loads(text)
            self.events.append(message)
            if wanted(message):
                return message
