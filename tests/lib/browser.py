# SPDX-License-Identifier: MIT
"""Drives a headless Chromium over the DevTools protocol, through a pair of pipes.

    with Browser() as browser:
        page = browser.open("file:///tmp/report.html")
        page.evaluate("document.title")
        page.screenshot("report.png")

Needs nothing but Python's own library and the program `chromium`.
"""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


def find():
    """The path of the browser, None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Failure(Exception):
    pass


class Browser:
    def __init__(self, seconds=60):
        self.seconds = seconds

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="browser-")
        to_child, self.to = os.pipe()
        self.back, from_child = os.pipe()

        # The protocol is spoken on descriptors 3 (in) and 4 (out).
        def place():
            low, high = os.dup(to_child), os.dup(from_child)
            keep = [os.dup(low), os.dup(high)]
            os.dup2(keep[0], 3)
            os.dup2(keep[1], 4)

        self.process = subprocess.Popen(
            [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--disable-background-networking", "--disable-component-update", "--no-first-run", "--mute-audio",
             "--user-data-dir=" + self.profile, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self.pending, self.number, self.events = b"", 0, []
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except (Failure, OSError):
            self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)

    def read(self):
        """The next message, whatever it is."""
        end = time.monotonic() + self.seconds
        os.set_blocking(self.back, False)
        while b"\0" not in self.pending:
            if time.monotonic() > end:
                raise Failure("the browser does not answer")
            try:
                piece = os.read(self.back, 1 << 20)
                if not piece:
                    raise Failure("the browser has ended")
                self.pending += piece
            except BlockingIOError:
                time.sleep(0.002)
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data) :]
        while True:
            message = self.read()
            if message.get("id") == self.number:
                if "error" in message:
                    raise Failure("%s: %s" % (method, message["error"]["message"]))
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def open(self, url, width=1280, height=900, dark=False, reduced_motion=True, measured=False):
        """A page that has loaded; every request and console message of it is kept.

        Measured: page.metrics() has processor times of the page's main thread.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        if measured:
            page.call("Performance.setTimeDomain", timeDomain="threadTicks")
            page.call("Performance.enable")
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(domain + ".enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"}])
        page.go(url)
        return page


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait(self, condition):
        end = time.monotonic() + self.browser.seconds
        while not self.evaluate("Boolean(%s)" % condition):
            if time.monotonic() > end:
                raise Failure("it never came to be: " + condition)
            time.sleep(0.01)

    def settle(self):
        """Waits until what was asked for is drawn."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def key(self, key, text=None, code=None):
        down = {"type": "keyDown" if text else "rawKeyDown", "key": key, "code": code or key}
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
                 "Home": 36, "End": 35, " ": 32}
        if key in codes:
            down["windowsVirtualKeyCode"] = codes[key]
        if text or key == "Enter":
            down["type"], down["text"] = "keyDown", text or "\r"
        self.call("Input.dispatchKeyEvent", **down)
        down.update(type="keyUp")
        down.pop("text", None)
        self.call("Input.dispatchKeyEvent", **down)
        self.settle()

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.settle()

    def click(self, selector, x=0.5, y=0.5):
        """A click of the mouse at a place within an element, in parts of its size."""
        spot = self.evaluate(
            "(() => { const e = document.querySelector(%s); e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect(); return [b.x + b.width * %f, b.y + b.height * %f]; })()"
            % (json.dumps(selector), x, y))
        self.click_at(*spot)

    def click_at(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else "left",
                      clickCount=0 if kind == "mouseMoved" else 1)
        self.settle()

    def events(self, method):
        """What was reported so far: the parameters of each event of that name."""
        self.evaluate("1")
        return [event["params"] for event in self.browser.events
                if event["method"] == method and event.get("sessionId") == self.session]

    def requests(self):
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    def metrics(self):
        return {one["name"]: one["value"] for one in self.call("Performance.getMetrics")["metrics"]}

    def screenshot(self, path, whole=False, clip=None):
        options = {"format": "png"}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = (0, 0, size["width"], size["height"])
        if clip:
            options.update(captureBeyondViewport=True,
                           clip={"x": clip[0], "y": clip[1], "width": clip[2], "height": clip[3], "scale": 1})
        data = self.call("Page.captureScreenshot", **options)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def pdf(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
