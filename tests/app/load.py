"""Many people at once: `python tests/app/load.py ADDRESS RUN SECONDS [CLIENTS]` asks a served run and prints what came.

Each client asks again as soon as it is answered: a drawing of its own (or a sample) and then one of the results, with
the thumbnails that a page would load. Nothing but the standard library.
"""

import argparse
import http.client
import io
import json
import random
import statistics
import threading
import time
from urllib.parse import quote, urlsplit

from PIL import Image, ImageDraw


def draw(random_numbers: random.Random) -> bytes:
    """A PNG of three strokes, as large as the page sends it."""
    sheet = Image.new("L", (256, 256), 255)
    for _ in range(3):
        points = [random_numbers.randrange(10, 245) for _ in range(6)]
        ImageDraw.Draw(sheet).line(points, fill=0, width=3)
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def ask_for(seconds: float, address: str, run: dict, seed: int, times: list[float], wrong: list[str]) -> None:
    """Asks until the time is over; appends (when, seconds) of each answer, and what was no answer."""
    rng, place = random.Random(seed), urlsplit(address)
    link = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    end, base = time.monotonic() + seconds, f"/api/{quote(run['name'])}"
    letters = [m["letter"] for m in run["modalities"] if m["letter"] in run["plane"]["points"]]
    sketch = next((m["letter"] for m in run["modalities"] if m["kind"] == "sketch"), None)

    def request(method, path, body=None, kind="application/json"):
        link.request(method, path, body, {"content-type": kind} if body else {})
        answer = link.getresponse()
        content = answer.read()
        if answer.status != 200:
            wrong.append(f"{answer.status} {content[:100]!r}")
            return {}
        return json.loads(content)

    while time.monotonic() < end:
        m = rng.choice(letters)
        to = letters[1 - letters.index(m)]
        start = time.monotonic()
        try:
            if sketch and rng.random() < 0.5:
                path = f"{base}/search?to={'a' if sketch == 'b' else 'b'}&k=10&from={sketch}"
                found = request("POST", path, draw(rng), "application/octet-stream")
            else:
                row = rng.choice(run["plane"]["points"][m]["rows"])
                found = request("POST", f"{base}/search?to={to}&k=10", json.dumps({"item": f"{m}.{row}"}))
            times.append((time.monotonic(), time.monotonic() - start))
            for hit in found.get("hits", [])[:3]:
                request("GET", f"{base}/sample/{hit['letter']}/{hit['row']}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            wrong.append(repr(error))
            link.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("run")
    parser.add_argument("seconds", type=float)
    parser.add_argument("clients", type=int, nargs="?", default=20)
    address, name, seconds, clients = vars(parser.parse_args()).values()
    pause = http.client.HTTPConnection(urlsplit(address).netloc)
    pause.request("GET", "/api/runs")
    run = next(r for r in json.loads(pause.getresponse().read())["runs"] if r["name"] == name)
    times, wrong = [], []
    threads = [threading.Thread(target=ask_for, args=(seconds, address, run, k, times, wrong)) for k in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = sorted(t for _, t in times)
    print(f"{len(took)} answers, {len(wrong)} errors; median {statistics.median(took):.3f} s,", end=" ")
    print(f"95 % within {took[int(0.95 * len(took))]:.3f} s, longest {took[-1]:.3f} s")
    print("\n".join(sorted(set(wrong))[:5]))


if __name__ == "__main__":
    main()
