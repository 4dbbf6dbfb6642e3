"""Chromium without a window, driven by the DevTools protocol through a pipe: no driver, no library."""

from __future__ import annotations

import base64
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8, "Tab": 9, "Enter": 13, " ": 32}


def find_chromium() -> str | None:
    """The program, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """A browser process; each `page` has cookies of its own, as another person's browser would."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions --remote-debugging-pipe"
        flags += " --disable-background-networking --disable-component-update --hide-scrollbars --disable-dev-shm-usage"
        command = f'exec "$0" {flags} --user-data-dir="$1" about:blank 3<&{reads} 4>&{writes}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, program, self._profile.name],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._from, selectors.EVENT_READ)
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result; events that come meanwhile are kept in `events`."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(60)
            if answer.get("id") == self._last:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def page(self, width: int = 1280, height: int = 800, *, phone: bool = False, motion: bool = True) -> Page:
        """A blank page in a context of its own, with a window of this size in CSS pixels."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, width, height, phone, motion)

    def _next(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\0" not in self._buffer:
            assert self._selector.select(max(0, end - time.monotonic())), "Chromium does not answer"
            read = os.read(self._from, 1 << 20)
            assert read, "Chromium has ended"
            self._buffer += read
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, session: str, width: int, height: int, phone: bool, motion: bool) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 3 if phone else 1, "mobile": phone},
        )
        if phone:
            self.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
            agent = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36"
            self.call("Emulation.setUserAgentOverride", userAgent=agent)
        if not motion:
            reduce = {"name": "prefers-reduced-motion", "value": "reduce"}
            self.call("Emulation.setEmulatedMedia", features=[reduce])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def events(self, method: str) -> list[dict[str, Any]]:
        """What has come of this kind so far, on this page."""
        self.run("0")
        found = [each for each in self._browser.events if each.get("sessionId") == self._session]
        return [each["params"] for each in found if each["method"] == method]

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        self.call("Page.reload")

    def run(self, code: str) -> Any:
        """The value of an expression on the page; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, code: str, timeout_s: float = 20) -> Any:
        """Until the expression is true."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if value := self.run(f"(() => {{ try {{ return {code} }} catch {{ return false }} }})()"):
                return value
            time.sleep(0.03)
        raise AssertionError(f"never true: {code}")

    def press(self, key: str, *, release: bool = True) -> None:
        code = _KEYS.get(key, ord(key[0].upper()))
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        same = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **same, **text)
        if release:
            self.release(key)

    def release(self, key: str) -> None:
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=_KEYS.get(key, ord(key[0])))

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element, in CSS pixels."""
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        return tuple(self.run(f"(() => {{ const b = {box}; return [b.x + b.width / 2, b.y + b.height / 2] }})()"))

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        down = {"mouseMoved": 0, "mousePressed": 1, "mouseReleased": 0}.get(kind, 0)
        button = "left" if kind in ("mousePressed", "mouseReleased") or more.get("buttons") else "none"
        options = {"button": button, "buttons": down, "clickCount": 1, "pointerType": "mouse", **more}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **options)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """touchStart, touchMove or touchEnd, with the fingers that are down."""
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Put files into an <input type="file">, as a person does in the system's dialogue."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector('{selector}')")["result"]
        self.call("DOM.setFileInputFiles", objectId=found["objectId"], files=[str(path) for path in paths])

    def tap(self, selector: str) -> None:
        self.touch("touchStart", self.middle(selector))
        self.touch("touchEnd")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
